"""The tables of Gen3R (arXiv 2601.04090), one file each; every file has its table as ``BENCHMARK``."""
