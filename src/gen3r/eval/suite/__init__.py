"""The paper's tables, each a benchmark over the same clips."""
