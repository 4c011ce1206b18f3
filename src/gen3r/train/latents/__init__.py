"""Clips as latents, encoded once: what diffusion trains on, in one file or in shards of many."""

from gen3r.data.captions import swap_sides
from gen3r.train.latents.cache import LatentCache, encode_clips
from gen3r.train.latents.encoders import FrozenEncoders
from gen3r.train.latents.identity import folder_identity, model_identities
from gen3r.train.latents.layout import LatentManifest, LatentSettings
from gen3r.train.latents.shards import LatentShards, open_latents
from gen3r.train.latents.store import LatentStore, StoredConditions
from gen3r.train.latents.views import FIXED_CHOICES, choose_view, view_choices

__all__ = [
    "FIXED_CHOICES",
    "FrozenEncoders",
    "LatentCache",
    "LatentManifest",
    "LatentSettings",
    "LatentShards",
    "LatentStore",
    "StoredConditions",
    "choose_view",
    "encode_clips",
    "folder_identity",
    "model_identities",
    "open_latents",
    "swap_sides",
    "view_choices",
]
