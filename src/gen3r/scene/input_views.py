"""The views a scene was made from, kept beside it so that its preview can be made again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen3r.scene.images import read_image

VIEWS_FOLDER = "views"


@dataclass(frozen=True, kw_only=True)
class InputViews:
    """Input pictures and the frame each one stands for."""

    images: tuple[Float[Tensor, "3 _ _"], ...]
    """sRGB in [0, 1], sizes may differ."""
    frames: tuple[int, ...]
    """Frame index of each picture in the scene, distinct."""

    def __post_init__(self) -> None:
        if len(self.images) != len(self.frames) or len(set(self.frames)) != len(self.frames) or not self.images:
            raise ValueError(
                f"views need one distinct frame index each, got {len(self.images)} views at frames {list(self.frames)}."
            )

    def save(self, folder: Path) -> None:
        """Write `views/frame00000.png`, ... (8 bit) into `folder`."""
        target = folder / VIEWS_FOLDER
        target.mkdir(parents=True)
        for frame, image in zip(self.frames, self.images, strict=True):
            pixels = to_uint8(image)
            Image.fromarray(pixels).save(target / f"frame{frame:05d}.png")

    @classmethod
    def load(cls, folder: Path) -> InputViews | None:
        """The views saved in a scene folder, or None if it has none (text only, or reconstructed)."""
        files = sorted((folder / VIEWS_FOLDER).glob("frame*.png"))
        found = [(re.fullmatch(r"frame(\d+)", file.stem), file) for file in files]
        views = [(int(match.group(1)), file) for match, file in found if match]
        if not views:
            return None
        return cls(images=tuple(read_image(file) for _, file in views), frames=tuple(frame for frame, _ in views))


def to_uint8(image: Float[Tensor, "3 h w"]) -> np.ndarray:
    """[3, h, w] in [0, 1] as uint8 [h, w, 3], rounded."""
    return (image.detach().cpu().float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
