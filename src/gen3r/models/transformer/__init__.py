"""The joint transformer: one network that denoises appearance and geometry side by side."""

from gen3r.models.transformer.config import TransformerConfig
from gen3r.models.transformer.model import JointTransformer
from gen3r.models.transformer.static import StaticCondition

__all__ = ["JointTransformer", "StaticCondition", "TransformerConfig"]
