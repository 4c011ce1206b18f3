"""What the user knows, made into what the transformer reads; the same code for training and sampling."""
