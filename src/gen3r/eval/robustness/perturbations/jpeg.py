"""JPEG compression, by Pillow's encoder (libjpeg): what pictures from the web have been through."""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen3r.eval.robustness.perturbations.base import ViewPerturbation

BEST = 100
"""Quality that a strength counts from. At strength 0 nothing is compressed at all."""


def compress(pictures: Float[Tensor, "V 3 H W"], loss: float, rng: torch.Generator) -> Float[Tensor, "V 3 H W"]:
    """Each picture through JPEG of quality ``100 - loss`` (a whole number from 1 on), colours at half resolution."""
    quality = max(1, round(BEST - loss))
    pixels = (pictures.clamp(0, 1) * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1)
    decoded = [_through(picture, quality) for picture in pixels]
    return (torch.stack(decoded).permute(0, 3, 1, 2).float() / 255).to(pictures)


def _through(picture: Tensor, quality: int) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(picture.contiguous().numpy()).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    decoded = Image.open(file).convert("RGB")
    return torch.frombuffer(bytearray(decoded.tobytes()), dtype=torch.uint8).view(picture.shape)


@dataclass(frozen=True, kw_only=True)
class _Compression(ViewPerturbation):
    def label(self, strength: float) -> str:
        return f"quality {BEST - strength:g}"


JPEG = _Compression(title="JPEG", unit=" below quality 100", strengths=(10.0, 50.0, 70.0, 90.0), change=compress)
