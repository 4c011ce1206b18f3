"""Stage 0b: the video VAE. Reconstruction of pixels, edges and averages, a small KL; no pretrained networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from gen3r.hub.folder import save_network
from gen3r.models.vae import LinearShortcutVAE, fit_linear_shortcut
from gen3r.presets.stages import VAELossConfig
from gen3r.train import augment
from gen3r.train.batches import Batches
from gen3r.train.losses.video import psnr, reconstruction_terms
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.rng import Rng, generator, integer
from gen3r.train.sources import ClipSource


class VAEObjective(Objective):
    """Trains ``networks.vae`` on batches of ``VideoCrops``."""

    def __init__(self, vae: LinearShortcutVAE, weights: VAELossConfig) -> None:
        super().__init__({"vae": vae})
        self.weights = weights

    @property
    def vae(self) -> LinearShortcutVAE:
        """The network in training."""
        return cast(LinearShortcutVAE, self.networks["vae"])

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """Reconstruct from a posterior sample, unclamped."""
        vae, video, weights = self.vae, batch["video"], self.weights
        posterior = vae.encode(video)
        output = vae.decode(posterior.sample(rng)).float()
        parts = reconstruction_terms(output, video) | {"kl": posterior.kl().float().mean()}
        total = torch.stack([getattr(weights, name) * value for name, value in parts.items()]).sum()
        return Terms(
            total,
            {name: value.detach() for name, value in parts.items()} | {"psnr": psnr(output.detach(), video).mean()},
        )

    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """PSNR of full clips from the posterior's mean, beside that of 8x8 averages, and the latents' spread."""
        vae, video = self.vae, batch["video"]
        posterior = vae.encode(video)
        return {
            "psnr": float(psnr(vae.decode(posterior.mode()).float(), video).mean()),
            "psnr_sampled": float(psnr(vae.decode(posterior.sample(rng)).float(), video).mean()),
            "average_psnr": float(psnr(average_blocks(video), video).mean()),
            "latent_std": float(posterior.mean.std()),
            "posterior_std": float((0.5 * posterior.logvar).exp().mean()),
        }

    def pictures(self, batch: Batch, rng: Rng) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """First, middle and last frame of some clips, original above reconstruction."""
        video = batch["video"][:4]
        output = self.vae(video).float().clamp(-1, 1)
        frames = [0, video.shape[2] // 2, video.shape[2] - 1]
        rows = [
            torch.cat(list(images[:, :, frames].permute(0, 2, 3, 4, 1).flatten(0, 1)), dim=1)
            for images in (video, output)
        ]
        return {"reconstruction": ((torch.cat(rows) + 1) * 127.5).round().byte()}

    def export(self, folder: Path, batches: list[Batch]) -> None:
        """Measure the latents' mean and spread, and store them in the config."""
        vae = self.vae
        means = torch.cat([vae.encode(batch["video"]).mean.transpose(0, 1).flatten(1) for batch in batches], dim=1)
        config = dataclasses.replace(
            vae.config, latents_mean=tuple(means.mean(1).tolist()), latents_std=tuple(means.std(1).tolist())
        )
        save_network(vae, config, folder / "vae")


class VideoCrops(Batches):
    """Random crops of clips of ``frames`` frames, mirrored and reversed at random."""

    def __init__(
        self, source: ClipSource, *, batch_size: int, crop: int | None, frames: int, seed: int, augmented: bool = True
    ) -> None:
        super().__init__(source.order(seed), batch_size, seed)
        self.source, self.crop, self.frames, self.augmented = source, crop, frames, augmented

    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        """{"video": [b, 3, frames, crop, crop] in -1..1}."""
        clips = self.source.get(items)
        if self.augmented:
            clips = augment.flip_and_reverse(clips, rng)
        images = augment.video(clips)
        start = integer(rng, 0, images.shape[1] - self.frames + 1)
        images = images[:, start : start + self.frames]
        if self.crop is not None:
            height, width = images.shape[-2:]
            tops = torch.randint(0, height - self.crop + 1, (len(items),), generator=rng).tolist()
            lefts = torch.randint(0, width - self.crop + 1, (len(items),), generator=rng).tolist()
            images = torch.stack(
                [
                    clip[..., top : top + self.crop, left : left + self.crop]
                    for clip, top, left in zip(images, tops, lefts, strict=True)
                ]
            )
        return {"video": images.transpose(1, 2).contiguous() * 2 - 1}


def average_blocks(video: Tensor) -> Tensor:
    """The trivial code: the mean of every 8x8 block of every frame, shown as flat blocks."""
    images = video.transpose(1, 2).flatten(0, 1)
    flat = functional.interpolate(functional.avg_pool2d(images, 8), scale_factor=8, mode="nearest")
    return flat.unflatten(0, (video.shape[0], video.shape[2])).transpose(1, 2)


def start_linear_path(vae: LinearShortcutVAE, source: ClipSource, *, clips: int, seed: int) -> None:
    """Fit the linear path of a fresh VAE on some random training clips; nothing to do where the config has none."""
    if vae.linear is None:
        return
    items = torch.randperm(len(source), generator=generator(seed, "linear path"))[:clips].tolist()
    video = augment.video(source.get(items))
    home = next(vae.parameters()).device
    fit_linear_shortcut(vae.linear.to(video.device), video.transpose(1, 2) * 2 - 1)  # where the clips are
    vae.linear.to(home)
