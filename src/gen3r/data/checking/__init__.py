"""What may be wrong with a clip, found by looking at its pictures, cameras and depth."""
