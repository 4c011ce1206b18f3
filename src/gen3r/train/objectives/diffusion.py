"""Stage 2: joint flow matching over appearance and geometry latents (Lipman et al. 2023, rectified flow)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.cameras import camera_rays_packed
from gen3r.conditioning.masks import mask_channels
from gen3r.conditioning.text import TextEncoder, encode_ids
from gen3r.hub.folder import save_network
from gen3r.hub.load import TEXT_ENCODER, TRANSFORMER, save_text
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.geometry import GeometryCodec
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import JointLatent, left_only, split
from gen3r.models.posterior import Posterior
from gen3r.models.transformer import JointTransformer
from gen3r.presets.stages import DiffusionStage
from gen3r.train.batches import Batches
from gen3r.train.latents import LatentCache, choose_view
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.pictures import depth_rows
from gen3r.train.rng import Rng, normal, uniforms

TIMESTEPS = 1000


def shifted(uniform: Float[Tensor, "*b"], shift: float) -> Float[Tensor, "*b"]:
    """Noise level sigma = s u / (1 + (s - 1) u) of the training schedule."""
    return shift * uniform / (1 + (shift - 1) * uniform)


def squared_errors(
    velocity: Float[Tensor, "*b"], target: Float[Tensor, "*b"], outlier: float | None
) -> Float[Tensor, "*b"]:
    """Squared errors in float32; 0 where the error is larger than ``outlier``."""
    error = velocity.float() - target
    if outlier is not None:
        error = error.masked_fill(error.abs() > outlier, 0.0)
    return error.square()


class DiffusionObjective(Objective):
    """Trains ``networks.transformer`` and ``networks.text_encoder`` on batches of ``LatentBatches``.

    x_sigma = (1 - sigma) x + sigma noise; the target velocity is noise - x; mean squared error in float32.
    """

    def __init__(
        self,
        transformer: JointTransformer,
        text: TextEncoder,
        stage: DiffusionStage,
        codecs: tuple[AppearanceCodec, GeometryCodec] | None,
    ) -> None:
        super().__init__({TRANSFORMER: transformer, TEXT_ENCODER: text.encoder})
        self.tokenizer, self.stage = text.tokenizer, stage
        self.codecs = torch.nn.ModuleList(codecs or ()).eval().requires_grad_(False)

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """Velocity error of both halves."""
        clean = batch["clean"]
        uniform = uniforms((len(clean),), rng, clean.device)
        noise = normal(clean.shape, rng, clean.device)
        appearance, geometry = self._errors(batch, shifted(uniform, self.stage.shift), noise)
        weight = self.stage.geometry_weight
        total = (appearance.mean() + weight * geometry.mean()) / (1 + weight)
        return Terms(total, {"appearance": appearance.mean().detach(), "geometry": geometry.mean().detach()})

    def _errors(self, batch: Batch, sigma: Tensor, noise: Tensor) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        clean = batch["clean"]
        level = sigma.view(-1, 1, 1, 1, 1)
        velocity = self._velocity(batch, (1 - level) * clean + level * noise, sigma)
        appearance, geometry = split(squared_errors(velocity, noise - clean, self.stage.outlier))
        return appearance.mean(dim=(1, 2, 3, 4)), geometry.mean(dim=(1, 2, 3, 4))

    def _velocity(self, batch: Batch, noisy: Tensor, sigma: Tensor) -> Tensor:
        text = encode_ids(self.networks[TEXT_ENCODER], batch["ids"], batch["ids_mask"])
        return self.networks[TRANSFORMER](noisy, sigma * TIMESTEPS, batch["control"], text=text, camera=batch["camera"])

    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """Velocity errors at three fixed noise levels."""
        values = {}
        for level in (0.2, 0.5, 0.9):
            noise = normal(batch["clean"].shape, rng, batch["clean"].device)
            sigma = torch.full((len(noise),), level, device=noise.device)
            appearance, geometry = self._errors(batch, sigma, noise)
            values |= {f"appearance_{level}": float(appearance.mean()), f"geometry_{level}": float(geometry.mean())}
        return values | {"total": sum(values.values()) / len(values)}

    def sample(self, batch: Batch, rng: Rng, steps: int = 12) -> Float[Tensor, "b c f h w2"]:
        """From noise with the training conditions, by the pipeline's steps without guidance, for pictures."""
        latents = normal(batch["clean"].shape, rng, batch["clean"].device)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=self.stage.shift)
        scheduler.set_timesteps(steps, device=latents.device)
        for timestep in cast(Tensor, scheduler.timesteps):
            velocity = self._velocity(batch, latents, (timestep / TIMESTEPS).expand(len(latents))).float()
            latents = cast(Tensor, scheduler.step(velocity, timestep, latents, return_dict=False)[0])  # pyright: ignore[reportArgumentType]
        return latents

    def pictures(self, batch: Batch, rng: Rng) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """First and last frame of clean and generated clips: image above inverse depth."""
        if not len(self.codecs):
            return {}
        appearance, geometry = cast(tuple[AppearanceCodec, GeometryCodec], tuple(self.codecs))
        few = {name: value[:4] for name, value in batch.items()}
        sheets = []
        for latents in (few["clean"], self.sample(few, rng)):
            joint = JointLatent.from_tensor(latents)
            sheets.append(depth_rows(appearance.decode(joint.appearance), (geometry.decode(joint.geometry).depth,)))
        return {"generated": torch.cat(sheets)}

    def export(self, folder: Path, batches: list[Batch]) -> None:
        """Transformer, text encoder and tokenizer, as a model folder has them."""
        transformer = self.networks[TRANSFORMER]
        save_network(transformer, transformer.settings, folder / TRANSFORMER)
        save_text(TextEncoder(self.tokenizer, self.networks[TEXT_ENCODER], self.stage.text.length), folder)


class LatentBatches(Batches):
    """Cached latents with freshly drawn posterior samples, views, and drops of text and cameras, each per sample."""

    def __init__(
        self,
        cache: LatentCache,
        text: TextEncoder,
        stage: DiffusionStage,
        *,
        batch_size: int,
        seed: int,
        validation: bool = False,
    ) -> None:
        super().__init__(len(cache), batch_size, seed)
        self.cache, self.stage, self.validation = cache, stage, validation
        captions = ["", *cache.captions]
        tokens = text.tokenizer(
            captions, padding="max_length", max_length=text.length, truncation=True, return_tensors="pt"
        )
        self.ids, self.ids_mask = tokens["input_ids"], tokens["attention_mask"]

    def make(self, items: Sequence[int], rng: torch.Generator) -> Batch:
        """{"clean", "control", "camera", "ids", "ids_mask"}, see ``Condition`` for the shapes."""
        index, stored = torch.as_tensor(items), self.cache.tensors
        halves = [
            Posterior(
                mean=stored[f"{half}_mean"][index].float(), logvar=stored[f"{half}_logvar"][index].float()
            ).sample(rng)
            for half in ("appearance", "geometry")
        ]
        views = self.stage.views
        weights = (views.first, views.ends, views.everything, views.nothing, views.anything)
        choice = choose_view(weights, self.cache.subsets, rng, len(items))
        drops = self.stage.drops.draw(len(items), rng)
        given = stored["given"][index, choice]
        control = left_only(stored["control"][index, choice].float())
        text = torch.where(drops.text & (not self.validation), 0, index + 1)
        keep = (~drops.camera | self.validation).float()
        return {
            "clean": JointLatent(*halves).tensor,
            "control": torch.cat([control, mask_channels(given, (control.shape[-2], control.shape[-1] // 2))], dim=1),
            "camera": self._rays(index) * keep[:, None, None, None, None],
            "ids": self.ids[text],
            "ids_mask": self.ids_mask[text],
        }

    def _rays(self, index: Tensor) -> Tensor:
        stored, height, width = self.cache.tensors, self.cache.height, self.cache.width
        cameras = Cameras(stored["extrinsics"][index], stored["intrinsics"][index], height, width)
        grid = LatentGrid(cameras.shape[1], height, width)
        size = grid.latent_size if self.stage.conditioning.rays_at_latent_size else grid.size
        return camera_rays_packed(cameras, size)
