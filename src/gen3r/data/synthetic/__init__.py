"""Procedural scenes with exact depth and cameras: rooms and outdoor places, from seeds."""

from gen3r.data.synthetic.generate import generate_clip, generate_clips

__all__ = ["generate_clip", "generate_clips"]
