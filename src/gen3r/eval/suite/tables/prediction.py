"""What a row of a table has to say about one clip."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.eval.benchmarks.truth import Truth
from gen3r.scene.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """F frames with depth and cameras, on the truth's device. Baselines are the truth with one part replaced."""

    video: Float[Tensor, "F 3 H W"]
    """RGB in [0, 1]."""
    depth: Float[Tensor, "F H W"]
    """z-depth in the unit of the cameras; meaningful where ``surface``."""
    surface: Bool[Tensor, "F H W"]
    """Pixels that claim to see a surface."""
    cameras: Cameras
    """[F], in any world and unit."""

    @classmethod
    def of_scene(cls, scene: Scene, truth: Truth) -> Prediction:
        """A scene with its predicted cameras."""
        device = truth.video.device
        return cls(
            video=scene.rgb.to(device).permute(0, 3, 1, 2).float() / 255,
            depth=scene.depth.to(device),
            surface=scene.mask.to(device),
            cameras=scene.cameras.to(device),
        )

    @classmethod
    def of_truth(cls, truth: Truth) -> Prediction:
        """The truth as if somebody had predicted it."""
        return cls(video=truth.video, depth=truth.depth, surface=truth.valid, cameras=truth.cameras)

    def scaled(self, factor: float) -> Prediction:
        """The same in a unit of length ``1 / factor`` times as large."""
        return replace(self, depth=self.depth * factor, cameras=self.cameras.scaled(factor))
