"""Geometry codecs: one interface, and every way of putting geometry into the right half of the joint latent."""

from gen3r.latents.codecs.base import DEFAULT_CODEC, ClipGeometry, CodecName, GeometryCodec
from gen3r.latents.codecs.vggt_adapter import VGGTAdapterCodec

__all__ = ["DEFAULT_CODEC", "ClipGeometry", "CodecName", "GeometryCodec", "VGGTAdapterCodec"]
