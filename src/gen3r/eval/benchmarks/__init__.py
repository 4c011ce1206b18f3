"""Benchmarks: a data set, a model, and a table of numbers with intervals."""
