"""Datasets of generated scenes: from a file of requests to a folder of scenes with a manifest."""
