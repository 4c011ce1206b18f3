"""The idea in five files: two latents of one clip, side by side on one grid."""

from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import JointLatent

__all__ = ["JointLatent", "LatentGrid"]
