"""The mask channels: which frames of the clip are given."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.conditioning.temporal import fold_frames
from gen3r.latents.joint import left_only


def mask_channels(given: Bool[Tensor, "B F"], latent_size: tuple[int, int]) -> Float[Tensor, "B 4 f h joint"]:
    """1 where a frame is given, channel j of latent frame i = frame slot j; zeros on the geometry half."""
    folded = fold_frames(given[:, :, None].to(torch.float32))
    return left_only(folded[..., None, None].expand(-1, -1, -1, *latent_size))
