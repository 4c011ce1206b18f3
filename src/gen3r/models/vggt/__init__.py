"""VGGT: feed-forward cameras, depth and points from images."""

from gen3r.models.vggt.config import VGGTConfig
from gen3r.models.vggt.model import VGGT, VGGTOutput

__all__ = ["VGGT", "VGGTConfig", "VGGTOutput"]
