"""Where the pixels of one frame land in another."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project, unproject


@dataclass(frozen=True, kw_only=True, eq=False)
class Landing:
    """The pixels of one frame, lifted by its depth, seen from another frame of the same size."""

    grid: Float[Tensor, "H W 2"]
    """Where each pixel lands, (x, y) from -1 to 1 over the other picture; means nothing where ``z`` is not positive."""
    z: Float[Tensor, "H W"]
    """z-depth in the other camera."""
    inside: Bool[Tensor, "H W"]
    """Whether it lands in the other picture, in front of its camera."""

    def sample(
        self, maps: Float[Tensor, "C H W"], mode: Literal["bilinear", "nearest"] = "bilinear"
    ) -> Float[Tensor, "C H W"]:
        """Maps of the other frame looked up where each pixel lands; at its border where that is outside."""
        return F.grid_sample(maps[None], self.grid[None], mode=mode, padding_mode="border", align_corners=False)[0]


def land(depth: Float[Tensor, "H W"], camera: Cameras, other: Cameras) -> Landing:
    """Carry every pixel of ``camera`` into ``other``.

    Args:
        depth: z-depth of each pixel, positive.
        camera: the camera of the depth map.
        other: where to look from; of the same image size.
    """
    height, width = depth.shape
    pixels, z = project(unproject(depth, camera).flatten(0, 1), other)
    grid = (pixels / pixels.new_tensor([width, height]) * 2 - 1).view(height, width, 2)
    z = z.view(height, width)
    return Landing(grid=grid, z=z, inside=(grid.abs() <= 1).all(dim=-1) & (z > 0))
