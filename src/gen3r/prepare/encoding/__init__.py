"""Datasets as latent shards, which diffusion training reads instead of video (docs/latents.md)."""

from gen3r.prepare.encoding.config import EncodeConfig
from gen3r.prepare.encoding.plan import encoded_shards, list_items, plan_encoding
from gen3r.prepare.encoding.work import EncodeShard

__all__ = ["EncodeConfig", "EncodeShard", "encoded_shards", "list_items", "plan_encoding"]
