"""Ways in which cameras and pictures go wrong, one family per file: pure functions with a strength and a seed."""
