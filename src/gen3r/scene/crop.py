"""Cover-resize and centre crop: bring any picture to the size a model works at."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import cover_size
from gen3r.scene.limits import check_picture_size


@dataclass(frozen=True, kw_only=True)
class CoverCrop:
    """How a picture reaches its target size: scaled until it covers it, then cut at the centre.

    The picture is resized to `resized_height` x `resized_width` (whole pixels, so the two axes may differ
    slightly in scale), then rows from `top` and columns from `left` are kept. `cover_crop` builds one.
    """

    source_height: int
    source_width: int
    height: int
    width: int
    resized_height: int
    resized_width: int
    top: int
    left: int

    def apply(self, image: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 H W"]:
        """Resize (bilinear, antialiased, pixel areas kept) and crop one picture in [0, 1]."""
        if tuple(image.shape[-2:]) != (self.source_height, self.source_width):
            raise ValueError(
                f"this crop was made for {self.source_height}x{self.source_width}, got {tuple(image.shape[-2:])}."
            )
        size = (self.resized_height, self.resized_width)
        if tuple(image.shape[-2:]) != size:
            image = F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
            image = image.clamp(0, 1)
        return image[:, self.top : self.top + self.height, self.left : self.left + self.width].contiguous()


def cover_crop(source_height: int, source_width: int, height: int, width: int) -> CoverCrop:
    """The cover-resize and centre crop from source to target size, in pixels.

    The resized size is `cover_size`, the crop starts at floor((resized - target) / 2), the same rounding as
    `Cameras.cover_crop`, which carries the intrinsics over. Raises `ValueError` for empty sizes and for shapes so
    narrow that the resized picture would pass 100 million pixels.
    """
    if min(source_height, source_width, height, width) < 1:
        raise ValueError(
            f"sizes must be at least 1 pixel, got source {source_height}x{source_width}, target {height}x{width}."
        )
    resized_height, resized_width = cover_size(source_height, source_width, height, width)
    check_picture_size(
        f"a {source_height}x{source_width} picture resized to cover {height}x{width}", resized_height, resized_width
    )
    return CoverCrop(
        source_height=source_height,
        source_width=source_width,
        height=height,
        width=width,
        resized_height=resized_height,
        resized_width=resized_width,
        top=(resized_height - height) // 2,
        left=(resized_width - width) // 2,
    )
