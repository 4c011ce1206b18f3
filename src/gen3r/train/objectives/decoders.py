"""Stage 4: decoders learn what the transformer makes of latents, and end where the truth is.

Denoised latents have errors of their own: what the transformer cannot know is averaged within each of its tokens, which
decoders that have only seen encoded clips show as blocks. Here they see latents that the frozen transformer denoised,
from all or some of the noise, and are held against the frames, depth and cameras of the clip; some latents are as
encoded, so that what they could do before stays. Encoders are not touched: all latents stay as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gen3r.hub.networks import ADAPTER, KINDS, VAE
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import VGGTAdapterCodec
from gen3r.latents.joint import split
from gen3r.latents.tokens import unpack_tokens
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.vggt import VGGT
from gen3r.pipeline.few_steps import even_levels
from gen3r.presets.decoders import DecodersStage
from gen3r.presets.stages import VAELossConfig, VGGTLossConfig
from gen3r.train.losses.geometry import aligned_errors, camera_error, depth_error, point_error, sky_confidence
from gen3r.train.losses.video import psnr, reconstruction_terms
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.objectives.diffusion import DiffusionObjective
from gen3r.train.objectives.noise import TIMESTEPS
from gen3r.train.objectives.vggt import rotation_degrees, targets
from gen3r.train.pictures import depth_rows
from gen3r.train.rng import Rng, first_generator, normal, uniforms

TRUE = "true_"
"""How entries of a batch begin that say what a clip really shows, see ``objectives.vggt.view_batch``."""


class DecodersObjective(Objective):
    """Trains the weights of ``networks.vae`` and ``networks.geometry_adapter`` that do not encode.

    Args:
        appearance: the video VAE with its normalisation.
        geometry: VGGT, frozen, and the adapter.
        flow: the trained flow; frozen.
        stage: how latents are made.
        video: weights of the video's errors, as the VAE was trained with.
        shape: weights of the errors of depth, points and cameras, as VGGT was trained with.
    """

    def __init__(
        self,
        appearance: AppearanceCodec,
        geometry: VGGTAdapterCodec,
        flow: DiffusionObjective,
        stage: DecodersStage,
        video: VAELossConfig,
        shape: VGGTLossConfig,
    ) -> None:
        super().__init__({VAE: appearance.vae, ADAPTER: geometry.adapter})
        for kind, network in self.networks.items():
            for name, weight in network.named_parameters():
                weight.requires_grad_(not KINDS[kind].encodes(name))
        self.appearance = appearance
        self.vggt = geometry.vggt.eval().requires_grad_(False)
        self.flow = flow.eval().requires_grad_(False)
        self.stage, self.video, self.shape = stage, video, shape
        self.levels = even_levels(stage.steps, flow.stage.shift)

    def train(self, mode: bool = True) -> DecodersObjective:
        """The flow and VGGT never train."""
        super().train(mode)
        self.flow.eval()
        self.vggt.eval()
        return self

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """Errors of decoded video, and of depth, points and cameras, on latents as drawn by `starts`."""
        count = len(batch["clean"])
        latents = self.denoised(batch, self.starts(count, rng, batch["clean"].device), rng)
        video, target = true_video(batch), targets(truth_of(batch), self.shape.far)
        seen = reconstruction_terms(self.appearance.decode_raw(split(latents)[0]), video)
        frames = torch.randperm(video.shape[2], generator=first_generator(rng), device=first_generator(rng).device)
        shaped, parts = self._shaped(
            split(latents)[1], target, truth_of(batch), sorted(frames[: self.stage.dense_frames].tolist())
        )
        total = shaped + torch.stack([getattr(self.video, name) * value for name, value in seen.items()]).sum()
        return Terms(total, {name: value.detach() for name, value in (seen | parts).items()})

    def starts(self, count: int, rng: Rng, device: torch.device) -> Int[Tensor, " b"]:
        """Where each sample starts: the number of a level, evenly, or behind the last one for latents as encoded."""
        draws = uniforms((count, 2), rng, device)
        level = (draws[:, 0] * len(self.levels)).long()
        return torch.where(draws[:, 1] < self.stage.clean, len(self.levels), level)

    @torch.no_grad()
    def denoised(self, batch: Batch, starts: Int[Tensor, " b"], rng: Rng) -> Float[Tensor, "b c f h w2"]:
        """The clips' latents, noised to the level where each starts and denoised from there on as the pipeline does."""
        clean, condition = batch["clean"], self.flow.condition(batch)
        noise, latents = normal(clean.shape, rng, clean.device), clean
        for number, (high, low) in enumerate(zip(self.levels, (*self.levels[1:], 0.0), strict=True)):
            begins, moves = ((starts == number).view(-1, 1, 1, 1, 1), (starts <= number).view(-1, 1, 1, 1, 1))
            latents = torch.where(begins, (1 - high) * clean + high * noise, latents)
            level = torch.full((len(clean),), high * TIMESTEPS, device=clean.device)
            velocity = self.flow.velocity(condition, latents, level).float()
            latents = torch.where(moves, latents + (low - high) * velocity, latents)
        return latents

    def _shaped(
        self, latents: Float[Tensor, "b c f h w"], target: Batch, true: Batch, frames: Sequence[int]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Errors of what VGGT's heads read in decoded tokens: the cameras of all, depth and points of some frames."""
        weights, size = self.shape, (true["images"].shape[-2], true["images"].shape[-1])
        layers = unpack_tokens(self.adapter.decode(latents, self._grid(size)), self.vggt.config.special_tokens)
        camera = camera_error(self.vggt.camera_head(layers[-1][:, :, :1]), target["pose"])
        chosen = [layer[:, list(frames)] for layer in layers]
        depth, sure = self.vggt.depth_head(chosen, size, None)
        points, sure_points = self.vggt.point_head(chosen, size, None)
        mask = target["mask"][:, list(frames)]
        errors = depth_error(depth, sure, target["depth"][:, list(frames)], mask, weights.alpha)
        errors["points"] = point_error(points, sure_points, target["points"][:, list(frames)], mask, weights.alpha)
        errors["sky"] = sky_confidence((sure, sure_points), true["depth"][:, list(frames)] <= 0)
        total = torch.stack([getattr(weights, name) * value for name, value in errors.items()]).sum()
        return total + weights.camera * torch.stack(list(camera.values())).sum(), camera | errors

    @property
    def adapter(self) -> GeometryAdapter:
        """The adapter whose decoder is trained."""
        return cast(GeometryAdapter, self.networks[ADAPTER])

    def _grid(self, size: tuple[int, int]) -> tuple[int, int]:
        return cast(VGGT, self.vggt).config.token_grid(*size)

    # looking ----------------------------------------------------------------------------------------------------------

    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """PSNR, depth and rotation errors of clips denoised from the second level on, and as encoded (``clean_``)."""
        video, target, values = true_video(batch), targets(truth_of(batch), self.shape.far), {}
        frames = list(range(video.shape[2]))
        for prefix, start in (("", min(1, len(self.levels) - 1)), ("clean_", len(self.levels))):
            starts = torch.full((len(video),), start, device=video.device)
            appearance, geometry = split(self.denoised(batch, starts, rng))
            output = self._codec().decode(geometry, image_size=(video.shape[-2], video.shape[-1]))
            absrel = aligned_errors(output.depth, target["depth"], target["mask"])[0]
            turned = rotation_degrees(output.pose_encoding.float(), target["pose"])[:, 1:].median()
            total, _ = self._shaped(geometry, target, truth_of(batch), frames)
            values |= {
                f"{prefix}psnr": float(psnr(self.appearance.decode_raw(appearance), video).mean()),
                f"{prefix}absrel": float(absrel.mean()),
                f"{prefix}degrees": float(turned),
                f"{prefix}total": float(total),
            }
        return values

    def pictures(self, batch: Batch, rng: Rng) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """First and last frame of some clips: true frames and depth, and those decoded of half denoised latents."""
        few = {name: value[:4] for name, value in batch.items() if isinstance(value, Tensor)}
        starts = torch.full((len(few["clean"]),), min(1, len(self.levels) - 1), device=few["clean"].device)
        appearance, geometry = split(self.denoised(few, starts, rng))
        video = self.appearance.decode(appearance)
        depth = self._codec().decode(geometry, image_size=(video.shape[-2], video.shape[-1])).depth
        true = truth_of(few)
        rows = (depth_rows(true["images"], (targets(true, self.shape.far)["depth"],)), depth_rows(video, (depth,)))
        return {"decoded": torch.cat(rows)}

    def _codec(self) -> VGGTAdapterCodec:
        return VGGTAdapterCodec(cast(VGGT, self.vggt), self.adapter)


def truth_of(batch: Batch) -> Batch:
    """What the clips of a batch really show, named as ``objectives.vggt.view_batch`` does."""
    return {name.removeprefix(TRUE): value for name, value in batch.items() if name.startswith(TRUE)}


def true_video(batch: Batch) -> Float[Tensor, "b 3 frames height width"]:
    """The frames of the clips, in -1..1."""
    return batch[f"{TRUE}images"].transpose(1, 2) * 2 - 1
