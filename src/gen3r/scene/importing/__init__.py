"""Cameras, depth and point clouds that other programs made. Import from the modules; this package stays empty."""
