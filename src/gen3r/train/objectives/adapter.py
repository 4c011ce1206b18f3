"""Stage 1: the geometry adapter, with VGGT and the video VAE frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.pose_encoding import encode_pose
from gen3r.hub.folder import save_network
from gen3r.hub.networks import ADAPTER
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.vggt import VGGT
from gen3r.train import augment
from gen3r.train.batches import Batches
from gen3r.train.losses.adapter import AdapterLossConfig, AdapterLosses, KLWeight, official_kl, weigh
from gen3r.train.losses.by_frames import reconstruction_errors
from gen3r.train.losses.geometry import aligned_errors
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.objectives.vggt import rotation_degrees, targets, view_batch
from gen3r.train.pictures import depth_rows
from gen3r.train.rng import Rng, first_generator, generator
from gen3r.train.sources import ClipSource

FAR = 20.0


class AdapterObjective(Objective):
    """Trains ``networks.geometry_adapter`` on batches of ``ClipBatches`` with the losses of ``losses.adapter``.

    The official weight of the KL jumps by powers of ten from step to step. With ``kl_average`` d it is replaced by its
    moving average w <- d w + (1 - d) official, kept in ``running``, which small models with small batches need.
    """

    def __init__(
        self,
        adapter: GeometryAdapter,
        vggt: VGGT,
        appearance: AppearanceCodec,
        weights: AdapterLossConfig,
        kl_average: float | None,
        dense_frames: int | None = None,
        alignment: float = 1.0,
    ) -> None:
        """With ``dense_frames`` the heads are compared on that many random frames of each step instead of on all.

        ``alignment`` multiplies the weight of the KL.
        """
        super().__init__({ADAPTER: adapter})
        self.vggt = vggt.eval().requires_grad_(False)
        self.appearance = appearance.eval().requires_grad_(False)
        self.weights, self.kl_average, self.dense_frames = weights, kl_average, dense_frames
        self.alignment = alignment
        self.running.register_buffer("kl_weight", torch.full((), -1.0))

    @property
    def adapter(self) -> GeometryAdapter:
        """The network in training."""
        return cast(GeometryAdapter, self.networks[ADAPTER])

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """The losses of a batch; everything else in it than its images is for `metrics`."""
        frames = self._dense_frames(batch["images"].shape[1], first_generator(rng))
        losses = self.losses(batch["images"], rng, frames, self._kl_weight)
        parts = {name: torch.as_tensor(value) for name, value in losses.scalars().items() if name != "total"}
        return Terms(losses.total, parts)

    def losses(
        self, images: Float[Tensor, "B F 3 H W"], rng: Rng | None, frames: Sequence[int], kl_weight: KLWeight = None
    ) -> AdapterLosses:
        """Encode tokens, decode a sample, compare tokens and what heads read in them, align with the video.

        Args:
            images: RGB in [0, 1].
            rng: for the sample.
            frames: those whose cameras, depth and points are compared; tokens are of all.
            kl_weight: see `losses.adapter.weigh`.
        """
        adapter = self.adapter
        with torch.no_grad():
            tokens = VGGTAdapterCodec(self.vggt, adapter).tokens(images)
            reference = self.appearance.encode(images)
        posterior = adapter.encode(tokens)
        decoded = adapter.decode(posterior.sample(rng), grid=(tokens.shape[-2], tokens.shape[-1]))
        errors = reconstruction_errors(
            self.vggt,
            decoded,
            tokens,
            frames=frames,
            size=(images.shape[-2], images.shape[-1]),
            config=self.weights,
            recompute=adapter.gradient_checkpointing,
        )
        return weigh(errors, posterior, reference, self.weights, kl_weight)

    def _kl_weight(self, official: float) -> float:
        return self.alignment * (official if self.kl_average is None else self._average_weight(official))

    def _average_weight(self, official: float) -> float:
        running = cast(Tensor, self.running.kl_weight)
        if self.training:
            decay = self.kl_average if self.kl_average is not None and running >= 0 else 0.0
            running.copy_(decay * running + (1 - decay) * official)
        return float(running) if running >= 0 else official

    def _dense_frames(self, frames: int, rng: torch.Generator) -> list[int]:
        order = torch.randperm(frames, generator=rng, device=rng.device)
        return sorted(order[: self.dense_frames].tolist())

    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """Depth and rotation errors of VGGT and of the round trip through the latent (mean, and a sample).

        Without true depth in the batch there are no depth errors.
        """
        codec, images = VGGTAdapterCodec(self.vggt, self.adapter), batch["images"]
        posterior = codec.encode(images)
        target = truth(batch)
        outputs = {
            "vggt": self.vggt(images),
            "mode": codec.decode(posterior.mode()),
            "sample": codec.decode(posterior.sample(rng)),
        }
        values = {}
        for name, output in outputs.items():
            if "depth" in target:
                absrel = aligned_errors(output.depth, target["depth"], target["mask"])[0]
                values[f"{name}_absrel"] = float(absrel.mean())
            values[f"{name}_degrees"] = float(
                rotation_degrees(output.pose_encoding.float(), target["pose"])[:, 1:].median()
            )
        kl = official_kl(posterior, self.appearance.encode(images))
        spread = {
            "kl": float(kl),
            "latent_std": float(posterior.mean.std()),
            "posterior_std": float((0.5 * posterior.logvar).exp().mean()),
        }
        return values | spread

    def pictures(self, batch: Batch, rng: Rng) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """First and last frame of some clips: image, true depth where there is one, VGGT's and the round trip's."""
        codec = VGGTAdapterCodec(self.vggt, self.adapter)
        images = batch["images"][:4]
        target = truth({name: value[:4] for name, value in batch.items()})
        true = [target["depth"]] if "depth" in target else []
        depths = (*true, self.vggt(images).depth, codec.decode(codec.encode(images).mode()).depth)
        return {"depth": depth_rows(images, depths)}

    def export(self, folder: Path, batches: list[Batch]) -> None:
        """Measure the latents' mean and spread, and store them in the config (composed with those it had)."""
        adapter = self.adapter
        codec = VGGTAdapterCodec(self.vggt, adapter)
        means = torch.cat([codec.encode(batch["images"]).mean.transpose(0, 1).flatten(1) for batch in batches], dim=1)
        old_mean, old_std = (
            torch.tensor(values) for values in (adapter.config.latents_mean, adapter.config.latents_std)
        )
        mean, std = old_mean + old_std * means.mean(1).cpu(), old_std * means.std(1).cpu()
        config = dataclasses.replace(adapter.config, latents_mean=tuple(mean.tolist()), latents_std=tuple(std.tolist()))
        save_network(adapter, config, folder / ADAPTER)


@torch.no_grad()
def start_from_tokens(adapter: GeometryAdapter, vggt: VGGT, source: ClipSource, *, clips: int, seed: int) -> None:
    """Measure tokens of some random training clips and fit the linear path to them, for adapters that have those."""
    if adapter.statistics is None:
        return
    items = torch.randperm(len(source), generator=generator(seed, "token statistics"))[:clips].tolist()
    codec, home = VGGTAdapterCodec(vggt.eval(), adapter), next(vggt.parameters()).device
    volumes = torch.cat([codec.tokens(augment.video(source.get([item])).to(home)).cpu() for item in items])
    adapter.statistics.measure(volumes)
    if adapter.linear is not None:
        adapter.linear.fit(adapter.statistics.take_off(volumes, 0))


def truth(batch: Batch) -> dict[str, Tensor]:
    """What ``vggt.targets`` gives, or the poses alone, of the batch's own scale, where the batch has no depth."""
    if "depth" in batch:
        return targets(batch, FAR)
    size = (batch["images"].shape[-2], batch["images"].shape[-1])
    cameras = Cameras(batch["extrinsics"], batch["intrinsics"], *size).rebased(0)
    return {"pose": encode_pose(cameras.extrinsics, cameras.intrinsics, size)}


def frames_at(curriculum: Sequence[tuple[float, int]], progress: float) -> int | None:
    """Frames per clip of a curriculum, (from which share of the steps, how many), at ``progress``; None before any."""
    return next((frames for start, frames in reversed(curriculum) if progress >= start), None)


class ClipBatches(Batches):
    """Clips, mirrored and reversed at random if ``augmented``, of as many frames as the curriculum says at a step."""

    def __init__(
        self,
        source: ClipSource,
        *,
        batch_size: int,
        seed: int,
        augmented: bool = True,
        curriculum: Sequence[tuple[float, int]] = (),
        steps: int = 1,
    ) -> None:
        """``curriculum``: (from which share of the ``steps`` optimizer steps, frames per clip); empty: whole clips."""
        super().__init__(source.order(seed), batch_size, seed)
        self.source, self.augmented, self.curriculum, self.steps = source, augmented, tuple(curriculum), steps

    def sample(self, step: int, position: int) -> Batch:
        """The sample at a position, of the frames that the curriculum gives at its step."""
        return self.several(step, range(position, position + 1))

    def several(self, step: int, positions: range) -> Batch:
        """The samples at these positions, likewise."""
        rng, frames = generator(self.seed, "augment", positions[0]), frames_at(self.curriculum, step / self.steps)
        return self.make(self.order.items(positions[0], len(positions)), rng, frames)

    def make(self, items: Sequence[int], rng: torch.Generator, frames: int | None = None) -> Batch:
        """{"images", "depth", "extrinsics", "intrinsics"} of all frames; no "depth" where it is unknown."""
        clips = self.source.get(items, frames)
        if self.augmented:
            clips = augment.flip_and_reverse(clips, rng)
        return view_batch(clips, None)

    def name(self, position: int) -> str:
        """The clip's name."""
        return self.source.name(self.order.items(position, 1)[0])
