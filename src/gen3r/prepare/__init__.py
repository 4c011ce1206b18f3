"""What networks add to data: captions, latents, and cameras for pictures that have none."""
