"""What is compared with what: variants of a preset in groups, and what is expected of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from gen3r.conditioning.views import ViewCurriculum
from gen3r.latents.codecs import CodecName
from gen3r.presets.codecs import with_codec
from gen3r.presets.stages import Preset

Change = Callable[[Preset], Preset]
"""From a preset to a variant of it."""
CAMERA_DROP = 0.1
"""Share of training clips that lose their cameras in the group about that."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a group."""

    name: str
    """In results files; unique in its group."""
    label: str
    """In tables."""
    change: Change
    """What makes it of the preset."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One variant is expected to do better than another."""

    better: str
    """Name of the variant that should win."""
    worse: str
    """Name of the other."""
    quantity: str
    """By which column, see ``scoring.COLUMNS``."""
    source: Literal["paper", "ours"]
    """Whether Gen3R's paper says so (arXiv 2601.04090), or we only chose to believe it."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Variants that differ in one thing."""

    title: str
    """Above the table."""
    variants: tuple[Variant, ...]
    """Rows, in order."""
    claims: tuple[Claim, ...]
    """What is expected."""

    def variant(self, name: str) -> Variant:
        """The variant of this name."""
        return next(variant for variant in self.variants if variant.name == name)


def coded(codec: CodecName) -> Change:
    """Another geometry codec."""
    return lambda preset: with_codec(preset, codec)


def aligned(factor: float) -> Change:
    """Another weight of the adapter's alignment. 0 is the codec that is made for it, so that both are trained once."""
    if factor == 0:
        return coded("vggt-adapter-nokl")
    return lambda preset: replace(preset, adapter=replace(preset.adapter, alignment=factor))


def pooled(cells: int) -> Change:
    """A geometry latent whose blocks of ``cells`` x ``cells`` are alike."""

    def change(preset: Preset) -> Preset:
        network = replace(preset.adapter.network, latent_pool=cells)
        return replace(preset, adapter=replace(preset.adapter, network=network))

    return change


def camera_drop(rate: float) -> Change:
    """Another share of training clips without cameras."""

    def change(preset: Preset) -> Preset:
        drops = replace(preset.diffusion.drops, camera=rate)
        return replace(preset, diffusion=replace(preset.diffusion, drops=drops))

    return change


def curriculum(views: ViewCurriculum | None) -> Change:
    """Another course of given views."""
    return lambda preset: replace(preset, diffusion=replace(preset.diffusion, view_curriculum=views))


def _codec_group() -> Group:
    labels: dict[CodecName, str] = {
        "vggt-adapter": "VGGT tokens, aligned (Gen3R)",
        "vggt-adapter-nokl": "VGGT tokens, not aligned",
        "xyz": "point maps as pictures",
        "depth-rays": "depth and ray maps as pictures",
        "none": "RGB alone, then VGGT",
    }
    columns = ("one_chamfer", "one_absrel", "one_auc30")
    return Group(
        title="Geometry codec",
        variants=tuple(Variant(name=name, label=label, change=coded(name)) for name, label in labels.items()),
        claims=tuple(
            Claim(better="vggt-adapter", worse=other, quantity=column, source="paper")
            for other in labels
            if other != "vggt-adapter"
            for column in columns
        ),
    )


def _alignment_group() -> Group:
    factors = {"0": 0.0, "x0.1": 0.1, "x1": 1.0, "x10": 10.0}
    return Group(
        title="Weight of the alignment",
        variants=tuple(
            Variant(name=name, label=f"alignment {name}", change=aligned(factor)) for name, factor in factors.items()
        ),
        claims=tuple(
            Claim(better="x1", worse=other, quantity=column, source="paper" if other == "0" else "ours")
            for other in factors
            if other != "x1"
            for column in ("one_chamfer", "one_last_psnr")
        ),
    )


GROUPS = MappingProxyType(
    {
        "codec": _codec_group(),
        "alignment": _alignment_group(),
        "resolution": Group(
            title="Resolution of the geometry latent",
            variants=(
                Variant(name="full", label="full", change=pooled(1)),
                Variant(name="half", label="half", change=pooled(2)),
            ),
            claims=tuple(
                Claim(better="full", worse="half", quantity=column, source="ours")
                for column in ("one_chamfer", "one_absrel")
            ),
        ),
        "camera-drop": Group(
            title="Training clips without cameras",
            variants=(
                Variant(name="on", label=f"{CAMERA_DROP:.0%} lose them", change=camera_drop(CAMERA_DROP)),
                Variant(name="off", label="none does", change=camera_drop(0.0)),
            ),
            claims=(
                Claim(better="on", worse="off", quantity="free_between_psnr", source="ours"),
                Claim(better="off", worse="on", quantity="one_auc30", source="ours"),
            ),
        ),
        "curriculum": Group(
            title="Course of the given views",
            variants=(
                Variant(name="on", label="many first, then the mixture", change=curriculum(ViewCurriculum())),
                Variant(name="off", label="the mixture throughout", change=curriculum(None)),
            ),
            claims=tuple(
                Claim(better="on", worse="off", quantity=column, source="ours")
                for column in ("one_last_psnr", "two_between_psnr")
            ),
        ),
    }
)
"""The ablation set by name."""


def chosen_groups(names: tuple[str, ...]) -> dict[str, Group]:
    """The groups of these names; all of them for none.

    Raises:
        ValueError: for an unknown name.
    """
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise ValueError(f"unknown group {unknown[0]!r}; choose among {', '.join(GROUPS)}.")
    return {name: GROUPS[name] for name in (names or GROUPS)}
