"""The geometry adapter between VGGT tokens and the joint latent."""

from gen3r.models.adapter.cache import TemporalCache
from gen3r.models.adapter.config import AdapterConfig
from gen3r.models.adapter.model import GeometryAdapter

__all__ = ["AdapterConfig", "GeometryAdapter", "TemporalCache"]
