"""Scenes as data: clips, the scene folder format, and procedural scenes."""
