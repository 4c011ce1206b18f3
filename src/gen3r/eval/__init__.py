"""Measuring: metrics are plain functions of tensors, benchmarks run a model over clips and report intervals."""
