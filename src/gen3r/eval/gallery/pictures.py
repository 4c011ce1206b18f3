"""Parts of the pages: true and generated frames, depth, differences, and clouds from the side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from gen3r.cameras import Cameras, unproject
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.metrics.depth import median_scale
from gen3r.eval.metrics.warp import land
from gen3r.eval.suite.tables.prediction import Prediction
from gen3r.scene.colormap import depth_colors, depth_range, inferno
from gen3r.scene.splat import shaded, splat
from gen3r.scene.viewpoints import outside_camera

Picture = UInt8[np.ndarray, "_ _ 3"]
FULL_DIFFERENCE = 0.5
"""Difference of brightness, or relative one of depth, that is drawn brightest."""
BACKGROUND = (240, 242, 245)
PANEL = (440, 760)
"""Rows and columns of a cloud; drawn at twice the size."""
BACKDROP = 3.0
"""Points farther than this many median depths are left out of clouds: they would shrink everything else."""
SIDE, ABOVE = 55.0, 22.0
"""Where clouds are seen from: degrees to the right of the first camera, and above."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A clip and the scene that was generated for it."""

    truth: Truth
    """Exact."""
    prediction: Prediction
    """Generated."""

    @cached_property
    def scale(self) -> float:
        """What brings generated depth to the true one; 1 where that is not known."""
        found = median_scale(self.prediction.depth, self.truth.depth, self.truth.valid)
        return found if found == found else 1.0

    @cached_property
    def depth(self) -> Float[Tensor, "F H W"]:
        """Generated depth in the unit of the true one, 0 where there is no surface."""
        own = self.prediction
        return torch.where(own.surface, own.depth * self.scale, 0.0).float().cpu()

    @cached_property
    def true_depth(self) -> Float[Tensor, "F H W"]:
        """True depth, 0 where it is not judged."""
        return torch.where(self.truth.valid, self.truth.depth, 0.0).float().cpu()

    @cached_property
    def depth_range(self) -> tuple[float, float]:
        """Near and far end of the colours of both."""
        shown = self.true_depth if self.truth.has_depth else self.depth
        return depth_range(shown, shown > 0)

    @cached_property
    def depth_error(self) -> Float[Tensor, "F H W"]:
        """Relative difference of the depths where both have a surface, 0 elsewhere."""
        both = (self.true_depth > 0) & (self.depth > 0)
        return torch.where(both, (self.depth - self.true_depth).abs() / self.true_depth.clamp_min(1e-8), 0.0)

    def true_frame(self, index: int) -> Picture:
        """A true frame."""
        return as_picture(self.truth.video[index])

    def frame(self, index: int) -> Picture:
        """A generated frame."""
        return as_picture(self.prediction.video[index])

    def difference(self, index: int) -> Picture:
        """How far the two frames are apart, mean over the colours."""
        own, true = (part[index].float().cpu() for part in (self.prediction.video, self.truth.video))
        return heat((own - true).abs().mean(dim=0))

    def true_depth_picture(self, index: int) -> Picture:
        """True depth in colours."""
        return depth_colors(self.true_depth[index], self.true_depth[index] > 0, self.depth_range)

    def depth_picture(self, index: int) -> Picture:
        """Generated depth in the same colours."""
        return depth_colors(self.depth[index], self.depth[index] > 0, self.depth_range)

    def depth_difference(self, index: int) -> Picture:
        """The relative difference of the depths."""
        return heat(self.depth_error[index])

    def worst_depth_frame(self) -> int:
        """The frame whose depth is farthest off."""
        return int(self.depth_error.mean(dim=(1, 2)).argmax())

    def first_carried_to(self, index: int) -> Picture:
        """The first generated frame carried to another by the generated depth and cameras of that one; grey outside."""
        own = self.prediction
        surface = own.surface[index]
        landing = land(torch.where(surface, own.depth[index], 1.0), own.cameras[index], own.cameras[0])
        seen = (landing.inside & surface)[None]
        return as_picture(torch.where(seen, landing.sample(own.video[0]), 0.9))

    def clouds(self) -> list[Picture]:
        """The true and the generated cloud from the same place at the side; the generated one alone without depth."""
        true = (self.truth.video, self.true_depth, self.truth.cameras.to("cpu", torch.float32))
        cameras = self.prediction.cameras.to("cpu", torch.float32).scaled(self.scale)
        parts = [(self.prediction.video, self.depth, cameras)]
        parts = [true, *parts] if self.truth.has_depth else parts
        _, depth, own = parts[0]
        height, width = (2 * side for side in PANEL)
        seen = depth[depth > 0]
        if not len(seen):
            return [np.full((*PANEL, 3), BACKGROUND, dtype=np.uint8) for _ in parts]
        far = BACKDROP * float(seen.median())
        camera = outside_camera(
            unproject(depth, own)[_near(depth, far)], own, azimuth=SIDE, elevation=ABOVE, height=height, width=width
        )
        return [_cloud(*part, far, camera) for part in parts]


def as_picture(image: Float[Tensor, "3 H W"]) -> Picture:
    """A picture in [0, 1] as bytes."""
    return (image.float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def heat(values: Float[Tensor, "H W"]) -> Picture:
    """Differences as colours: black is none, bright is ``FULL_DIFFERENCE`` or more."""
    return inferno((values.double() / FULL_DIFFERENCE).clamp(0, 1).numpy())


def beside(*pictures: Picture, gap: int = 2) -> Picture:
    """Pictures of one height in a row."""
    space = np.full((pictures[0].shape[0], gap, 3), 255, dtype=np.uint8)
    row = [part for picture in pictures for part in (picture, space)][:-1]
    return np.concatenate(row, axis=1)


def _near(depth: Float[Tensor, "F H W"], far: float) -> Bool[Tensor, "F H W"]:
    return (depth > 0) & (depth < far)


def _cloud(
    video: Float[Tensor, "F 3 H W"], depth: Float[Tensor, "F H W"], cameras: Cameras, far: float, camera: Cameras
) -> Picture:
    kept = _near(depth, far)
    colours = (video.float().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)[kept]
    diameters = (1.8 * depth / cameras.intrinsics[:, 0, 0, None, None])[kept]
    points = unproject(depth, cameras)[kept]
    picture = shaded(colours, *splat(points, diameters, camera), background=BACKGROUND).float()
    return picture.view(PANEL[0], 2, PANEL[1], 2, 3).mean(dim=(1, 3)).round().byte().numpy()
