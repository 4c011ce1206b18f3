"""Where a model fails worst, as pictures, with what is special about those clips."""
