"""Learned perceptual distance (LPIPS), where its package and its backbone's weights are on this machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.eval.metrics.absent import Absent
from gen3r.extras import Extra

LPIPS = Extra(name="eval", modules=("lpips", "torchvision"))
Backbone = Literal["alex", "vgg"]
_TORCHVISION_NAMES = {"alex": "alexnet", "vgg": "vgg16"}


def lpips_or_none(
    predicted: Float[Tensor, "N 3 H W"], target: Float[Tensor, "N 3 H W"], net: Backbone = "alex"
) -> Float[Tensor, " N"] | None:
    """LPIPS of images in [0, 1], one number per image, 0 for equal ones; None where it cannot be computed here.

    The distance of Zhang et al. (2018), version 0.1, by their package; pictures are clamped to [0, 1]. ``alex`` is what
    novel view synthesis reports; ``vgg`` gives larger numbers, which cannot be compared with those. There is no upper
    bound; unrelated pictures score about 1. Nothing is ever downloaded, nor is anything put in its place:
    `lpips_absence` says what is missing.

    Raises:
        ValueError: for a prediction that is not finite (the clip counts as failed).
    """
    if not torch.isfinite(predicted).all():
        raise ValueError("the predicted images are not finite; the clip counts as failed.")
    if lpips_absence(net) is not None:
        return None
    with torch.no_grad():
        pair = [images.clamp(0, 1).float() * 2 - 1 for images in (predicted, target)]
        return _network(net, str(target.device))(*pair).flatten()


def lpips_absence(net: Backbone = "alex") -> Absent | None:
    """What keeps LPIPS from being computed here, and what to do about it; None if nothing does."""
    if LPIPS.missing:
        return Absent(what="LPIPS", reason=f"needs {' and '.join(LPIPS.missing)}", remedy=LPIPS.remedy)
    weights = _weights(net)
    if weights.is_file():
        return None
    name = _TORCHVISION_NAMES[net]
    return Absent(
        what="LPIPS",
        reason=f"needs torchvision's weights of {name} in {weights}",
        remedy=f"python -c 'import torchvision; torchvision.models.{name}(weights=\"IMAGENET1K_V1\")'",
    )


def _weights(net: Backbone) -> Path:
    """Where torchvision keeps the weights that the package loads."""
    from torchvision.models import get_model_weights  # pyright: ignore[reportMissingImports]

    url = get_model_weights(_TORCHVISION_NAMES[net])["IMAGENET1K_V1"].url
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


@cache
def _network(net: Backbone, device: str) -> torch.nn.Module:
    from lpips import LPIPS as Network  # pyright: ignore[reportMissingImports]

    return Network(net=net, verbose=False).to(device).eval()
