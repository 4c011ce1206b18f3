"""Writing a scene for the world: one module per file format, listed in `registry`, driven by `folder`."""
