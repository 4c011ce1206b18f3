"""The folders and lists that the official Gen3R training code reads, written and read."""
