"""What a full-size Gen3R costs: networks with random weights, FLOPs, and timed runs and training steps."""
