"""The codecs by name: which networks each is made of, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs.base import ADAPTER, VAE, VGGT_FOLDER, CodecName, GeometryCodec
from gen3r.latents.codecs.depth_rays import DepthRaysCodec
from gen3r.latents.codecs.pictures import PictureCodec
from gen3r.latents.codecs.two_stage import TwoStageCodec
from gen3r.latents.codecs.vggt_adapter import VGGTAdapterCodec
from gen3r.latents.codecs.xyz import XYZCodec


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


def _vggt_adapter(appearance: AppearanceCodec, networks: Mapping[str, Any]) -> GeometryCodec:
    return VGGTAdapterCodec(networks[VGGT_FOLDER], networks[ADAPTER])


def _pictures(codec: type[PictureCodec]) -> CodecKind:
    return CodecKind(
        build=lambda appearance, networks: codec(appearance, networks.get(VGGT_FOLDER)),
        optional=(VGGT_FOLDER,),
        needs_truth=True,
    )


CODECS: dict[CodecName, CodecKind] = {
    "vggt-adapter": CodecKind(build=_vggt_adapter, networks=(VGGT_FOLDER, ADAPTER)),
    "vggt-adapter-nokl": CodecKind(build=_vggt_adapter, networks=(VGGT_FOLDER, ADAPTER)),
    "xyz": _pictures(XYZCodec),
    "depth-rays": _pictures(DepthRaysCodec),
    "none": CodecKind(
        build=lambda appearance, networks: TwoStageCodec(networks[VGGT_FOLDER]), networks=(VGGT_FOLDER,), halves=1
    ),
}
"""By name. ``vggt-adapter-nokl`` is the same codec of an adapter that was trained without alignment."""


def build_codec(name: CodecName, appearance: AppearanceCodec, networks: Mapping[str, Any]) -> GeometryCodec:
    """A codec of the video VAE and the networks it is made of; others among ``networks`` are not used."""
    codec = CODECS[name].build(appearance, networks)
    codec.name = name
    return codec


def encoders_of(name: CodecName) -> tuple[str, ...]:
    """Networks that latents of a codec depend on, both halves."""
    return (VAE, *CODECS[name].networks)


def check_control(name: CodecName, control_geometry: str) -> None:
    """Refuse control latents with a geometry half that the codec cannot make of images alone.

    The geometry of the views that a user gives is not known; these models are conditioned on their appearance.

    Raises:
        ValueError: for encoded geometry and such a codec.
    """
    kind = CODECS[name]
    if control_geometry == "encoded" and (kind.needs_truth or kind.halves == 1):
        raise ValueError(
            f'expected control_geometry "zeros" with the codec {name}, which does not encode the geometry of images '
            f"alone, got {control_geometry!r}."
        )
