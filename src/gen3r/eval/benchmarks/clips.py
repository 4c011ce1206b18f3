"""Clips of the synthetic benchmark, by seed."""
