"""Closed-form start of the linear path: principal components, then least squares for the decoder."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from gen3r.models.vae.linear import BLOCK, GROUP, LinearVideoCode


@torch.no_grad()
def fit_linear_shortcut(
    code: LinearVideoCode,
    clips: Float[Tensor, "n 3 frames height width"],
    *,
    refit_decoder: bool = True,
    ridge: float = 1e-4,
) -> None:
    """Set ``code`` to the whitened PCA of the blocks of ``clips`` (video in -1..1, 4k+1 >= 5 frames), in place.

    PCA reads its own block only, so every weight outside the block starts at zero. With ``refit_decoder`` the decoder
    is then the ridge regression from all cells it can reach to the pixels, which removes part of the block edges.

    Raises:
        ValueError: if the clips have no later group of frames or too few blocks for the number of channels.
    """
    frames = clips.shape[2]
    if frames <= GROUP or (frames - 1) % GROUP:
        raise ValueError(f"expected clips of 4k+1 >= 5 frames to fit the linear path on, got {frames} frames.")
    first = _blocks(clips[:, :, 0])
    windows = clips[:, :, 1:].unflatten(2, (-1, GROUP)).permute(0, 2, 3, 1, 4, 5).flatten(0, 1).flatten(1, 2)
    later = _blocks(windows)
    if min(first.shape[0], later.shape[0]) <= 3 * GROUP * BLOCK**2:
        raise ValueError(
            f"expected more than {3 * GROUP * BLOCK**2} blocks to fit the linear path, got {first.shape[0]}; add clips."
        )
    _set_pca(code.encode_first, code.decode_first, code, *_principal(first, code.channels))
    _set_pca(code.encode_group, code.decode_group, code, *_principal(later, code.channels))
    if refit_decoder:
        latents = code.encode(clips)
        _refit(code.decode_first, code._pad(latents[:, :, 0], code.reach), first, ridge)
        pairs = torch.cat([latents[:, :, 1:], latents[:, :, :-1]], dim=1).transpose(1, 2).flatten(0, 1)
        _refit(code.decode_group, code._pad(pairs, code.reach), later, ridge)


def _blocks(images: Float[Tensor, "n c height width"]) -> Float[Tensor, "blocks values"]:
    """All 8x8 blocks, values ordered (channel, row, column) as ``pixel_shuffle`` reads them."""
    return functional.pixel_unshuffle(images, BLOCK).permute(0, 2, 3, 1).flatten(0, 2)


def _principal(blocks: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, the first ``count`` principal directions [values, count] and their standard deviations."""
    mean = blocks.mean(dim=0)
    centred = (blocks - mean).double()
    values, vectors = torch.linalg.eigh(centred.mT @ centred / len(blocks))
    deviations = values[-count:].flip(0).clamp_min(1e-8).sqrt()
    return mean, vectors[:, -count:].flip(1).float(), deviations.float()


def _set_pca(encoder, decoder, code: LinearVideoCode, mean: Tensor, directions: Tensor, deviations: Tensor) -> None:
    block_channels = directions.shape[0] // BLOCK**2
    inside = slice(code.margin, code.margin + BLOCK)
    encoder.weight.zero_()
    analysis = (directions / deviations).T
    encoder.weight[:, -block_channels:, inside, inside] = analysis.unflatten(1, (block_channels, BLOCK, BLOCK))
    encoder.bias.copy_(-analysis @ mean)
    decoder.weight.zero_()
    decoder.weight[:, : code.channels, code.reach, code.reach] = directions * deviations
    decoder.bias.copy_(mean)


def _refit(decoder, padded_latents: Tensor, targets: Tensor, ridge: float) -> None:
    inputs = functional.unfold(padded_latents, decoder.kernel_size).transpose(1, 2).flatten(0, 1).double()
    inputs = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
    gram = inputs.T @ inputs
    gram.diagonal().add_(ridge * len(inputs))
    solution = torch.linalg.solve(gram, inputs.T @ targets.double()).float()
    decoder.weight.copy_(solution[:-1].T.unflatten(1, decoder.weight.shape[1:]))
    decoder.bias.copy_(solution[-1])
