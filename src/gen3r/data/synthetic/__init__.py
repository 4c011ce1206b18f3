"""Procedural scenes with exact depth and cameras: rooms and outdoor places, from seeds."""

from gen3r.data.synthetic.generate import generate_clip, generate_clips
from gen3r.data.synthetic.writer import SynthConfig, write_clips

__all__ = ["SynthConfig", "generate_clip", "generate_clips", "write_clips"]
