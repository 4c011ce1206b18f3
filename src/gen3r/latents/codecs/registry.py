"""The codecs by name: which networks each is made of, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs.base import ADAPTER, VGGT_FOLDER, CodecName, GeometryCodec
from gen3r.latents.codecs.vggt_adapter import VGGTAdapterCodec


@dataclass(frozen=True, kw_only=True)
class CodecKind:
    """One way of coding geometry."""

    build: Callable[[AppearanceCodec, Mapping[str, Any]], GeometryCodec]
    """The codec of the video VAE and its networks by name."""
    networks: tuple[str, ...] = ()
    """Networks besides the VAE that it cannot do without, by their names in a model folder."""
    optional: tuple[str, ...] = ()
    """Networks that it takes along where there are any."""
    halves: int = 2
    """See ``GeometryCodec``."""
    needs_truth: bool = False
    """See ``GeometryCodec``."""


def _kind(
    codec: type[GeometryCodec],
    build: Callable[[AppearanceCodec, Mapping[str, Any]], GeometryCodec],
    **networks: tuple[str, ...],
) -> CodecKind:
    return CodecKind(build=build, halves=codec.halves, needs_truth=codec.needs_truth, **networks)


def _vggt_adapter(appearance: AppearanceCodec, networks: Mapping[str, Any]) -> GeometryCodec:
    return VGGTAdapterCodec(networks[VGGT_FOLDER], networks[ADAPTER])


CODECS: dict[CodecName, CodecKind] = {
    name: _kind(VGGTAdapterCodec, _vggt_adapter, networks=(VGGT_FOLDER, ADAPTER))
    for name in ("vggt-adapter", "vggt-adapter-nokl")
}
"""By name. ``vggt-adapter-nokl`` is the same codec of an adapter that was trained without alignment."""


def build_codec(name: CodecName, appearance: AppearanceCodec, networks: Mapping[str, Any]) -> GeometryCodec:
    """A codec of the video VAE and the networks it is made of; others among ``networks`` are not used."""
    return CODECS[name].build(appearance, networks)
