"""A view to image features, for models with image conditioning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_pixels(images: Float[Tensor, "B 3 H W"], size: int = 224) -> Float[Tensor, "B 3 S S"]:
    """CLIP input from images in [0, 1]: antialiased bicubic resize to a square, clamped, normalised."""
    resized = F.interpolate(images, size=(size, size), mode="bicubic", align_corners=False, antialias=True)
    return _normalize(resized.clamp(0, 1))


def clip_pixels_official(images: Float[Tensor, "B 3 H W"], size: int = 224) -> Float[Tensor, "B 3 S S"]:
    """As the released model was trained: pixels truncated to 8 bits, no antialiasing, overshoot kept."""
    return clip_pixels_untruncated((images * 255).to(torch.uint8).to(torch.float32) / 255, size)


def clip_pixels_untruncated(images: Float[Tensor, "B 3 H W"], size: int = 224) -> Float[Tensor, "B 3 S S"]:
    """The official resize, which the released weights know, without the loss of up to a grey level before it."""
    resized = F.interpolate(images * 2 - 1, size=(size, size), mode="bicubic", align_corners=False)
    return _normalize(resized * 0.5 + 0.5)


def _normalize(images: Tensor) -> Tensor:
    mean, std = (images.new_tensor(values).view(3, 1, 1) for values in (_MEAN, _STD))
    return (images - mean) / std


ImagePixels = Literal["antialiased", "untruncated", "official"]

IMAGE_PIXELS: dict[ImagePixels, Callable[[Tensor], Tensor]] = {
    "antialiased": clip_pixels,
    "untruncated": clip_pixels_untruncated,
    "official": clip_pixels_official,
}
"""Preprocessings by the name that a model's settings say."""


class ImageEncoder(nn.Module):
    """transformers' ``CLIPVisionModel``, read before its last block.

    Args:
        vision: ``vision(pixel_values, output_hidden_states=True)`` with ``hidden_states``.
        pixels: preprocessing; :func:`clip_pixels_official` for the released weights.
        layer: which hidden states to return; the default is the output of all blocks but the last.
    """

    def __init__(self, vision: nn.Module, pixels: Callable[[Tensor], Tensor] = clip_pixels, layer: int = -2) -> None:
        super().__init__()
        self.vision = vision
        self.pixels = pixels
        self.layer = layer

    def encode(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B N Di"]:
        """Features of images in [0, 1]: class token first, then patches (257 in all), no final norm."""
        pixels = self.pixels(images.float()).to(next(self.vision.parameters()).dtype)
        return self.vision(pixel_values=pixels, output_hidden_states=True).hidden_states[self.layer]
