"""Training: one loop, four objectives (VGGT, video VAE, geometry adapter, joint flow matching)."""
