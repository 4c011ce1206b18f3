"""Everything that turns clips into what the transformer is trained on, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gen3r.cameras.cameras import Cameras
from gen3r.conditioning.cameras import relative_cameras
from gen3r.conditioning.condition import Conditioner, ConditioningConfig
from gen3r.conditioning.image import ImageEncoder
from gen3r.conditioning.text import TextEncoder
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs import ClipGeometry, GeometryCodec
from gen3r.latents.joint import JointLatent, kept
from gen3r.models.posterior import Posterior
from gen3r.train.rng import Rng


class FrozenEncoders(nn.Module):
    """The encoders of a model: always in evaluation mode, without gradients.

    Args:
        appearance: the video VAE.
        geometry: the geometry codec.
        config: how conditions are made.
        text: for models whose text encoder is not trained.
        image: for models that read image features.
    """

    def __init__(
        self,
        appearance: AppearanceCodec,
        geometry: GeometryCodec,
        config: ConditioningConfig,
        *,
        text: TextEncoder | None = None,
        image: ImageEncoder | None = None,
    ) -> None:
        super().__init__()
        self.appearance, self.geometry, self.text, self.image = appearance, geometry, text, image
        self.config = config
        self.eval().requires_grad_(False)

    @property
    def conditioner(self) -> Conditioner:
        """Makes conditions of these networks."""
        return Conditioner(self.appearance, self.config, geometry=self.geometry, text=self.text, image=self.image)

    def train(self, mode: bool = True) -> FrozenEncoders:
        """Stay in evaluation mode, whatever the objective around it does."""
        return super().train(False)

    @torch.no_grad()
    def posteriors(
        self, video: Float[Tensor, "n F 3 H W"], truth: ClipGeometry | None = None
    ) -> tuple[Posterior, Posterior | None]:
        """Appearance and geometry of videos in [0, 1]; no geometry where the codec has none.

        Raises:
            ValueError: without the true geometry that the codec needs.
        """
        appearance = self.appearance.encode(video)
        return appearance, self.geometry.encode(video, truth) if self.geometry.halves == 2 else None

    @torch.no_grad()
    def control(
        self, video: Float[Tensor, "n F 3 H W"], given: Bool[Tensor, "n F"], rng: Rng | None = None
    ) -> Float[Tensor, "n C f h joint"]:
        """Control latents of the given frames, both halves whatever the codec, without the mask."""
        return self.conditioner.control(video, given, rng)[:, :-4]

    @torch.no_grad()
    def image_features(
        self, video: Float[Tensor, "n F 3 H W"], given: Bool[Tensor, "n F"]
    ) -> Float[Tensor, "n N Di"] | None:
        """Features of each clip's first given frame, black where there is none; None without an image encoder."""
        return self.conditioner.image_features(video, given)

    @torch.no_grad()
    def text_rows(self, prompts: Sequence[str]) -> list[Float[Tensor, "rows Dt"]]:
        """Features of each prompt at their true length, on the CPU; every prompt is encoded alone.

        Raises:
            ValueError: without a text encoder.
        """
        if self.text is None:
            raise ValueError("expected a text encoder to encode captions with, got none.")
        rows = []
        for prompt in prompts:
            features = self.text.encode([prompt])[0]
            used = features.detach().abs().amax(dim=1).nonzero()
            rows.append(features[: int(used.max()) + 1 if len(used) else 0].cpu())
        return rows

    @torch.no_grad()
    def encode(self, clips: Mapping[str, Any], rng: Rng) -> dict[str, Any]:
        """A training batch from clips that are not encoded yet, each network in its own type, whatever autocast says.

        Args:
            clips: ``video`` [n,F,3,H,W] in [0, 1], ``given`` [n,F], ``prompts`` (after drops), ``extrinsics``
                [n,F,4,4], ``intrinsics`` [n,F,3,3], ``camera_known`` [n], and ``scale`` [n], the scene's scale;
                ``views`` [n,F,3,H,W], if the given frames are to be seen otherwise than they are (`ConditionNoise`);
                ``true_depth`` [n,F,H,W], ``true_extrinsics``, ``true_intrinsics``, where the codec encodes those.
            rng: draws the latents.

        Returns:
            ``clean``, ``control`` (with mask), ``text``, ``extrinsics`` (relative), ``intrinsics``, ``camera_known``
            and, with an image encoder, ``image``.
        """
        with torch.autocast(clips["video"].device.type, enabled=False):
            return self._encode(clips, rng)

    def _encode(self, clips: Mapping[str, Any], rng: Rng) -> dict[str, Any]:
        video, given = clips["video"], clips["given"]
        shown = clips.get("views", video)
        appearance, geometry = self.posteriors(video, self._truth(clips))
        cameras = Cameras(clips["extrinsics"], clips["intrinsics"], video.shape[-2], video.shape[-1])
        relative = relative_cameras(cameras, clips["scale"] if self.config.normalize_scale else None)
        conditioner = self.conditioner
        batch = {
            "clean": JointLatent(appearance.sample(rng), None if geometry is None else geometry.sample(rng)).tensor,
            "control": kept(conditioner.control(shown, given, rng), self.geometry.halves),
            "extrinsics": relative.extrinsics,
            "intrinsics": relative.intrinsics,
            "camera_known": clips["camera_known"],
        }
        if self.text is not None:
            batch["text"] = conditioner.text_features(clips["prompts"])
        image = conditioner.image_features(shown, given)
        return batch if image is None else batch | {"image": image}

    def _truth(self, clips: Mapping[str, Any]) -> ClipGeometry | None:
        if not self.geometry.needs_truth:
            return None
        depth = clips["true_depth"]
        cameras = Cameras(clips["true_extrinsics"], clips["true_intrinsics"], *depth.shape[-2:])
        return ClipGeometry(depth=depth, cameras=cameras)
