"""``numerics``: the better behaviour (the default), or the official one, choice by choice.

The one place that lists where the two part. ``docs/parity.md`` gives the reason and the measured effect of each.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from gen3r.conditioning.condition import ConditioningConfig, ImagePixels
from gen3r.pipeline.config import PipelineConfig

NumericsName = Literal["default", "official"]


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """Where the official code does something else than we think best. The defaults are ours."""

    sample_control: bool | None = None
    """Control latents are a sample of the VAE's posterior, whose noise has the raw scale in normalised units, instead
    of its mean. None leaves it to the model's settings."""
    image_pixels: ImagePixels | None = None
    """Preprocessing of image features. None leaves it to the model's settings."""
    round_to_networks: bool = False
    """Pictures, noise, velocities and latents are rounded to the transformer's type, after every step; no effect in
    float32."""
    crop_intrinsics: bool = True
    """The intrinsics of user cameras follow the resize and crop of the views; False takes them for the cropped size
    as they are."""
    sky_is_no_depth: bool = True
    """Depths that count as sky say nothing about the size of a named path; False takes the median over all."""
    rebase_scene: bool = True
    """The first camera of a scene is its world exactly; False leaves the cameras where VGGT's head puts them."""

    def conditioning(self, config: ConditioningConfig) -> ConditioningConfig:
        """The settings of conditioning with these choices in place."""
        changes: dict[str, object] = {"sample_control": self.sample_control, "image_pixels": self.image_pixels}
        return dataclasses.replace(config, **{name: value for name, value in changes.items() if value is not None})

    def path_settings(self, config: PipelineConfig) -> PipelineConfig:
        """The settings that camera paths are made with."""
        return config if self.sky_is_no_depth else dataclasses.replace(config, far=math.inf, sky_confidence=0.0)

    @property
    def name(self) -> str:
        """Its name in ``NUMERICS``, for provenance; "mixed" if it has none."""
        return next((name for name, choices in NUMERICS.items() if choices == self), "mixed")

    def rounding(self, networks: torch.dtype) -> torch.dtype:
        """The type that pictures and latents are rounded to."""
        return networks if self.round_to_networks else torch.float32


NUMERICS: Mapping[NumericsName, Numerics] = {
    "default": Numerics(),
    "official": Numerics(
        sample_control=True,
        image_pixels="official",
        round_to_networks=True,
        crop_intrinsics=False,
        sky_is_no_depth=False,
        rebase_scene=False,
    ),
}
"""By name. The geometry half of the control latents is zeros in both, as in the official sampling; training can encode
it (``ConditioningConfig.control_geometry``), as the official training does."""


def numerics_of(name: str) -> Numerics:
    """The choices of that name.

    Raises:
        ValueError: for an unknown name.
    """
    for known, choices in NUMERICS.items():
        if name == known:
            return choices
    raise ValueError(f"expected numerics to be {' or '.join(NUMERICS)}, got {name!r}.")
