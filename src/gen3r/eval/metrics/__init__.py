"""Numbers that compare a prediction with the truth; no models, no files."""
