"""Stage 2: joint flow matching over appearance and geometry latents (Lipman et al. 2023, rectified flow)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.condition import Condition
from gen3r.conditioning.text import TextEncoder, encode_ids
from gen3r.hub.files import write_json
from gen3r.hub.load import TEXT_ENCODER, TRANSFORMER, save_text
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import GeometryCodec
from gen3r.latents.codecs.registry import CODECS
from gen3r.latents.grid import SPATIAL_STRIDE
from gen3r.latents.joint import JointLatent, kept, split
from gen3r.models.transformer import JointTransformer
from gen3r.presets.stages import DiffusionStage
from gen3r.train.latent_batches import LatentBatches, packed_rays
from gen3r.train.latents.encoders import FrozenEncoders
from gen3r.train.latents.identity import CODEC, ENCODERS_FILE
from gen3r.train.lora import save_transformer
from gen3r.train.losses.following import Sightings, following_error, watched
from gen3r.train.objectives.base import Batch, Objective, Terms
from gen3r.train.objectives.noise import TIMESTEPS, NoiseLevels, draw_levels, shifted
from gen3r.train.pictures import depth_rows
from gen3r.train.rng import Rng, normal

__all__ = ["TIMESTEPS", "DiffusionObjective", "LatentBatches", "shifted", "squared_errors"]


def squared_errors(
    velocity: Float[Tensor, "*b"], target: Float[Tensor, "*b"], outlier: float | None
) -> Float[Tensor, "*b"]:
    """Squared errors in float32; 0 where the error is larger than ``outlier``."""
    error = velocity.float() - target
    if outlier is not None:
        error = error.masked_fill(error.abs() > outlier, 0.0)
    return error.square()


class DiffusionObjective(Objective):
    """Trains ``networks.transformer``, and ``networks.text_encoder`` unless text features are stored.

    x_sigma = (1 - sigma) x + sigma noise; the target velocity is noise - x; mean squared error in float32.

    Args:
        transformer: the denoiser.
        text: a text encoder to train along; None where batches bring the features of a frozen one.
        stage: losses, noise, conditioning.
        codecs: decode pictures of what is generated.
        encoders: encode batches of clips (``ClipVideos``) that are not encoded yet.
        made_by: sha256 of the networks whose latents these are, by kind; the export keeps them.
    """

    def __init__(
        self,
        transformer: nn.Module,
        text: TextEncoder | None,
        stage: DiffusionStage,
        codecs: tuple[AppearanceCodec, GeometryCodec] | None = None,
        *,
        encoders: FrozenEncoders | None = None,
        made_by: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__({TRANSFORMER: transformer} | ({} if text is None else {TEXT_ENCODER: text.encoder}))
        self._words = None if text is None else (text.tokenizer, text.length)
        self.stage = stage
        self.halves = CODECS[stage.codec].halves
        self.codecs = torch.nn.ModuleList(codecs or ()).eval().requires_grad_(False)
        self.encoders = encoders
        self.made_by = dict(made_by or {})

    @property
    def transformer(self) -> JointTransformer:
        """The denoiser."""
        return cast(JointTransformer, self.networks[TRANSFORMER])

    @property
    def text(self) -> TextEncoder | None:
        """The text encoder that is trained; None on stored features."""
        if self._words is None:
            return None
        tokenizer, length = self._words
        return TextEncoder(tokenizer, self.networks[TEXT_ENCODER], length)

    def loss(self, batch: Batch, rng: Rng) -> Terms:
        """Velocity error of both halves; where that was asked for, how far attention is from following the camera."""
        strata = batch.get("stratum")
        batch = self.encoded(batch, rng)
        clean = batch["clean"]
        levels = draw_levels(len(clean), self.stage.noise, self.stage.shift, rng, clean.device, strata)
        noise = normal(clean.shape, rng, clean.device)
        with watched(self.transformer, self.stage.following_blocks if "seen" in batch else ()) as looks:
            appearance, geometry = self.errors(batch, levels, noise)
        weight = self.stage.geometry_weight if self.halves == 2 else 0.0
        total = (appearance.mean() + weight * geometry.mean()) / (1 + weight)
        parts = {"appearance": appearance.mean(), "geometry": geometry.mean()}
        if looks:
            found = Sightings(position=batch["position"], seen=batch["seen"])
            parts["following"] = following_error(self.transformer, looks, clean, found, self.halves)
            total = total + self.stage.following * parts["following"]
        return Terms(total, {name: value.detach() for name, value in parts.items()})

    def encoded(self, batch: Batch, rng: Rng) -> Batch:
        """The batch as latents, if it still is video.

        Raises:
            ValueError: for video without encoders.
        """
        if "video" not in batch:
            return batch
        if self.encoders is None:
            raise ValueError("expected encoded clips, got video: give the objective its frozen encoders.")
        return self.encoders.encode(batch, rng)

    def errors(
        self, batch: Batch, levels: NoiseLevels, noise: Float[Tensor, "b c f h w2"]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Mean squared velocity error of the appearance and of the geometry half of every sample.

        That of geometry is 0 where the latents have no such half.
        """
        clean = batch["clean"]
        level = levels.sigma.view(-1, 1, 1, 1, 1)
        velocity = self.velocity(self.condition(batch), (1 - level) * clean + level * noise, levels.timestep)
        error = squared_errors(velocity, noise - clean, self.stage.outlier)
        if self.halves == 1:
            return error.mean(dim=(1, 2, 3, 4)), error.new_zeros(len(error))
        appearance, geometry = split(error)
        return appearance.mean(dim=(1, 2, 3, 4)), geometry.mean(dim=(1, 2, 3, 4))

    def condition(self, batch: Batch) -> Condition:
        """What the transformer is told of a batch; text that is trained carries gradients."""
        stored = "text" in batch
        text = batch["text"] if stored else encode_ids(self.networks[TEXT_ENCODER], batch["ids"], batch["ids_mask"])
        camera = batch["camera"] if "camera" in batch else self._rays(batch)
        return Condition(control=batch["control"], text=text, camera=camera, image=batch.get("image"))

    def velocity(
        self, condition: Condition, noisy: Float[Tensor, "b c f h w2"], timestep: Float[Tensor, " b"]
    ) -> Float[Tensor, "b c f h w2"]:
        """What the transformer predicts."""
        return self.networks[TRANSFORMER](
            noisy, timestep, condition.control, text=condition.text, camera=condition.camera, image=condition.image
        )

    def _rays(self, batch: Batch) -> Tensor:
        rows, columns = batch["clean"].shape[-2:]
        cameras = Cameras(
            batch["extrinsics"], batch["intrinsics"], rows * SPATIAL_STRIDE, columns // self.halves * SPATIAL_STRIDE
        )
        rays = kept(packed_rays(cameras, self.stage.conditioning), self.halves)
        return rays * batch["camera_known"][:, None, None, None, None].to(rays)

    def metrics(self, batch: Batch, rng: Rng) -> dict[str, float]:
        """Velocity errors at three fixed noise levels."""
        batch, values = self.encoded(batch, rng), {}
        for level in (0.2, 0.5, 0.9):
            noise = normal(batch["clean"].shape, rng, batch["clean"].device)
            sigma = torch.full((len(noise),), level, device=noise.device)
            appearance, geometry = self.errors(batch, NoiseLevels(sigma, sigma * TIMESTEPS), noise)
            values |= {f"appearance_{level}": float(appearance.mean()), f"geometry_{level}": float(geometry.mean())}
        return values | {"total": sum(values.values()) / len(values)}

    def sample(self, batch: Batch, rng: Rng, steps: int = 12) -> Float[Tensor, "b c f h w2"]:
        """From noise with the training conditions, by the pipeline's steps without guidance, for pictures."""
        condition = self.condition(batch)
        latents = normal(batch["clean"].shape, rng, batch["clean"].device)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=self.stage.shift)
        scheduler.set_timesteps(steps, device=latents.device)
        for timestep in cast(Tensor, scheduler.timesteps):
            velocity = self.velocity(condition, latents, timestep.expand(len(latents))).float()
            latents = cast(Tensor, scheduler.step(velocity, timestep, latents, return_dict=False)[0])  # pyright: ignore[reportArgumentType]
        return latents

    def pictures(self, batch: Batch, rng: Rng) -> dict[str, UInt8[Tensor, "height width 3"]]:
        """First and last frame of clean and generated clips: image above inverse depth."""
        if not len(self.codecs):
            return {}
        appearance, geometry = cast(tuple[AppearanceCodec, GeometryCodec], tuple(self.codecs))
        few = {name: value[:4] for name, value in self.encoded(batch, rng).items()}
        sheets = []
        for latents in (few["clean"], self.sample(few, rng)):
            joint = JointLatent.from_tensor(latents, self.halves)
            video = appearance.decode(joint.appearance)
            sheets.append(depth_rows(video, (geometry.decode(joint.geometry, images=video).depth,)))
        return {"generated": torch.cat(sheets)}

    def export(self, folder: Path, batches: list[Batch]) -> None:
        """Transformer and, if they were trained, text encoder and tokenizer, as a model folder has them.

        Beside them, in ``ENCODERS_FILE``, stand the codec and the networks whose latents the transformer speaks.
        """
        if self.made_by:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / ENCODERS_FILE, self.made_by | {CODEC: self.stage.codec})
        save_transformer(self.transformer, folder)
        if self.text is not None:
            save_text(self.text, folder)
