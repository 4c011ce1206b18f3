"""Programs with a window: each a layer over the package, loaded only by its command."""
