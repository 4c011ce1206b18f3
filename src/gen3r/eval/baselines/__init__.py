"""What a model has to beat: predictions that need no learning."""
