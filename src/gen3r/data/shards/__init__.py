"""Clips in tar shards: streamed by WebDataset, and read at random through an index."""
