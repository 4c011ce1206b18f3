"""Laws of the camera maths."""
