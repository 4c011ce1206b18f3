"""How a model's results change when what it is told is wrong: cameras that lie, views that are spoiled."""
