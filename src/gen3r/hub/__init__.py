"""Models by name: where they lie, how their folders are read, and key tables to the official checkpoints."""
