"""What is special about a clip, or about what was predicted for it, in numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.eval.baselines.frames import warp_first
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.depth import median_scale
from gen3r.eval.metrics.pose import rotation_angle_deg
from gen3r.eval.suite.tables.prediction import Prediction

NEAR = 0.02
"""Share of the pixels of a clip that is nearer than its near end."""
STILL = 0.01
"""True cameras that move less than this, in radians and mean depths of the first view, ask for no motion."""


@dataclass(frozen=True, kw_only=True)
class Property:
    """One number per clip; NaN where it means nothing."""

    meaning: str
    """What it is."""
    unit: str
    """Of the number; empty if it has none."""
    of: Callable[[Prediction, Truth], float]
    """Measures it."""

    def written(self, number: float) -> str:
        """A number with its unit."""
        if self.unit == "%":
            return f"{100 * number:.0f} %"
        return f"{number:.2f} {self.unit}".rstrip()


def turn_deg(cameras: Cameras) -> float:
    """The largest turn away from the first camera, in degrees."""
    return float(rotation_angle_deg(cameras.rebased().extrinsics[:, :3, :3].double()).max())


def travel(cameras: Cameras) -> float:
    """The largest distance from the first camera, in the unit of the cameras."""
    return float(cameras.rebased().centers.double().norm(dim=-1).max())


def motion(cameras: Cameras) -> float:
    """Turn in radians plus distance: about how far pictures move."""
    return math.radians(turn_deg(cameras)) + travel(cameras)


def _unseen(prediction: Prediction, truth: Truth) -> float:
    if not truth.has_depth:
        return math.nan
    _, seen = warp_first(truth.video, truth.depth, truth.cameras, truth.frames - 1)
    return 1 - seen.double().mean().item()


def _sky(prediction: Prediction, truth: Truth) -> float:
    return 1 - truth.valid.double().mean().item() if truth.has_depth else math.nan


def _nearness(prediction: Prediction, truth: Truth) -> float:
    depth = truth.depth[truth.valid].double()
    return depth.quantile(NEAR).item() * truth.unit if len(depth) and truth.metric else math.nan


def _relief(prediction: Prediction, truth: Truth) -> float:
    depth = truth.depth[truth.valid].double()
    return depth.log().std(correction=0).item() if len(depth) else math.nan


def _texture(prediction: Prediction, truth: Truth) -> float:
    grey = luma(truth.video)
    across, down = grey.diff(dim=-1).abs(), grey.diff(dim=-2).abs()
    return ((across.mean() + down.mean()) / 2).item()


def _brightness(prediction: Prediction, truth: Truth) -> float:
    return luma(truth.video).mean().item()


def _scale_error(prediction: Prediction, truth: Truth) -> float:
    scale = median_scale(prediction.depth, truth.depth, truth.valid)
    return abs(math.log2(scale)) if scale > 0 else math.nan


def _liveliness(prediction: Prediction, truth: Truth) -> float:
    wanted = motion(truth.cameras)
    return motion(prediction.cameras) / wanted if wanted > STILL else math.nan


def luma(video: Float[Tensor, "*b 3 H W"]) -> Float[Tensor, "*b H W"]:
    """Brightness of sRGB pictures in [0, 1], weighted as in BT.601."""
    return (video.double() * video.new_tensor([0.299, 0.587, 0.114]).double()[:, None, None]).sum(dim=-3)


PROPERTIES: Mapping[str, Property] = MappingProxyType(
    {
        "turn": Property(
            meaning="largest turn of the true camera", unit="degrees", of=lambda _, truth: turn_deg(truth.cameras)
        ),
        "travel": Property(
            meaning="farthest the true camera goes, in mean depths of the first view",
            unit="",
            of=lambda _, truth: travel(truth.cameras),
        ),
        "unseen": Property(meaning="share of the last frame that the first never saw", unit="%", of=_unseen),
        "sky": Property(meaning="share of the pixels without a surface", unit="%", of=_sky),
        "nearness": Property(meaning="distance of the nearest 2 % of the pixels", unit="m", of=_nearness),
        "relief": Property(meaning="standard deviation of the logarithm of true depth", unit="", of=_relief),
        "texture": Property(meaning="mean brightness step between neighbouring pixels", unit="", of=_texture),
        "brightness": Property(meaning="mean brightness", unit="", of=_brightness),
        "scale": Property(
            meaning="factor between generated and true depth, as a power of 2, either way", unit="", of=_scale_error
        ),
        "liveliness": Property(
            meaning="motion of the predicted cameras as a share of the true ones'", unit="%", of=_liveliness
        ),
    }
)
"""What is measured of every clip."""


def properties_of(prediction: Prediction, truth: Truth) -> dict[str, float]:
    """Every property of one clip, by key."""
    with torch.no_grad():
        return {key: item.of(prediction, truth) for key, item in PROPERTIES.items()}
