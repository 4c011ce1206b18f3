"""What a clip's prediction is compared with."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.cameras import relative_cameras, scene_scale
from gen3r.data.clip import Clip

MIN_BASELINE = 0.01
"""Frames nearer to each other than this, in mean depths of the first view, have no direction of translation."""

FAR = 20.0
"""Surfaces farther than this many mean depths of the first view are not judged: as good as sky, and rare."""


def without_far(depth: Float[Tensor, "F H W"]) -> Float[Tensor, "F H W"]:
    """Depth with everything beyond ``FAR`` mean depths of the first frame set to 0, like sky."""
    return torch.where(depth < FAR * scene_scale(depth[:1]), depth, 0.0)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One clip in the world and scale a model can know: the first camera, and the mean depth of the first view."""

    video: Float[Tensor, "F 3 H W"]
    """RGB in [0, 1]."""
    depth: Float[Tensor, "F H W"]
    """z-depth in mean depths of the first view; 0 = sky or unknown, everywhere if the clip has no depth."""
    valid: Bool[Tensor, "F H W"]
    """Pixels that see a surface nearer than ``FAR``; nowhere if the clip has no depth."""
    cameras: Cameras
    """[F], relative to the first one, in mean depths of the first view."""
    caption: str
    """What the scene shows, in words."""
    seed: int
    """The clip's own seed; of clips that were not made from one, a number that follows from the name."""
    name: str = ""
    """What to call the clip in files; left out, its seed."""
    unit: float = 1.0
    """The mean depth of the first view in the unit of the data: what depth and cameras were divided by."""
    metric: bool = False
    """Whether the unit of the data is the metre, so that ``unit`` turns depth and cameras into metres."""

    @classmethod
    def of(cls, clip: Clip, device: torch.device | str = "cpu") -> "Truth":
        """Normalise a generated clip; its unit is the metre.

        Raises:
            ValueError: if no pixel of the clip sees a surface; no depth could be judged.
        """
        depth = clip.depth.to(device)
        if not (depth > 0).any():
            raise ValueError(f"the clip of seed {clip.seed} sees no surface at all; leave it out.")
        scale = scene_scale(depth[:1])
        cameras = relative_cameras(clip.cameras.to(device)[None], scale)[0]
        return cls(
            video=clip.rgb.to(device).permute(0, 3, 1, 2).float() / 255,
            depth=depth / scale,
            valid=without_far(depth) > 0,
            cameras=cameras,
            caption=clip.caption,
            seed=clip.seed,
            name=str(clip.seed),
            unit=scale.item(),
            metric=True,
        )

    @property
    def has_depth(self) -> bool:
        """Whether any pixel's depth is known."""
        return bool((self.depth > 0).any())

    @property
    def size(self) -> tuple[int, int]:
        """Image rows and columns."""
        return self.video.shape[-2], self.video.shape[-1]

    @property
    def frames(self) -> int:
        """Number of frames F."""
        return len(self.video)
