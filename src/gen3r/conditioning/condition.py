"""The bundle of everything the transformer is told, and the one way to make it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.conditioning.cameras import camera_rays_packed, free_cameras, relative_cameras
from gen3r.conditioning.image import ImageEncoder, ImagePixels
from gen3r.conditioning.masks import mask_channels
from gen3r.conditioning.text import TextEncoder
from gen3r.conditioning.views import control_video
from gen3r.latents.grid import LatentGrid
from gen3r.latents.joint import left_only, pair
from gen3r.models.posterior import Posterior


@runtime_checkable
class Encoder(Protocol):
    """What conditioning needs of a codec (``AppearanceCodec``, ``GeometryCodec``): images in, posterior out."""

    def encode(self, images: Float[Tensor, "B F 3 H W"], /) -> Posterior:
        """Posterior ``[B, 16, f, h, w]`` of images in [0, 1]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Drops:
    """Which samples of a batch lose which condition."""

    text: Bool[Tensor, " B"]
    """Samples that read the empty prompt."""
    camera: Bool[Tensor, " B"]
    """Samples whose cameras are free."""


@dataclass(frozen=True, kw_only=True)
class DropRates:
    """How often training withholds a condition, decided per sample and per condition."""

    text: float = 0.1
    """Probability of the empty prompt; needed for guidance."""
    camera: float = 0.1
    """Probability of free cameras."""

    def __post_init__(self) -> None:
        if not all(0.0 <= rate <= 1.0 for rate in (self.text, self.camera)):
            raise ValueError(f"drop rates must lie in [0, 1], got text={self.text}, camera={self.camera}.")

    def draw(self, batch: int, generator: torch.Generator | None = None) -> Drops:
        """Decide for each of ``batch`` samples (on the CPU)."""
        uniform = torch.rand(batch, 2, generator=generator)
        return Drops(text=uniform[:, 0] < self.text, camera=uniform[:, 1] < self.camera)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What the transformer reads besides noisy latents and time. Fields are named like its arguments."""

    control: Float[Tensor, "B 20 f h joint"]
    """Control latents (16) and mask (4)."""
    text: Float[Tensor, "B L Dt"]
    """Text features."""
    camera: Float[Tensor, "B 24 f rows columns"]
    """Packed rays; zeros where free."""
    image: Float[Tensor, "B N Di"] | None = None
    """Image features, for models that use them."""

    def dropped(self, drops: Drops, empty_text: Float[Tensor, "one L Dt"]) -> Condition:
        """Withhold conditions sample by sample; ``empty_text`` are the features of the empty prompt."""
        device = self.control.device
        text = torch.where(drops.text.to(device)[:, None, None], empty_text, self.text)
        camera = self.camera.masked_fill(drops.camera.to(device)[:, None, None, None, None], 0.0)
        return replace(self, text=text, camera=camera)

    def with_text(self, text: Float[Tensor, "B L Dt"]) -> Condition:
        """Same views and cameras, another prompt: the other branch of guidance."""
        return replace(self, text=text)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Condition:
        """Move or cast every tensor."""
        return self._map(lambda tensor: tensor.to(device=device, dtype=dtype))

    def __getitem__(self, samples: slice | Tensor | list[int]) -> Condition:
        """Part of the batch."""
        return self._map(lambda tensor: tensor[samples])

    def _map(self, change: Callable[[Tensor], Tensor]) -> Condition:
        return Condition(
            control=change(self.control),
            text=change(self.text),
            camera=change(self.camera),
            image=None if self.image is None else change(self.image),
        )


@dataclass(frozen=True, kw_only=True)
class ConditioningConfig:
    """How conditions are made. Belongs to the trained weights: sampling must use what training used."""

    control_geometry: Literal["zeros", "encoded"] = "zeros"
    """Geometry half of the control latents. The official inference uses zeros, the official training encodes the
    control video, black frames included, with VGGT and the adapter."""
    sample_control: bool = False
    """Sample the control posterior instead of taking its mean (the official code samples)."""
    rays_at_latent_size: bool = False
    """One ray per latent cell instead of per pixel; only for transformers that pool the rays first."""
    image_pixels: ImagePixels = "antialiased"
    """Preprocessing of image features, see ``conditioning.image``; the released weights were trained with theirs."""
    normalize_scale: bool = True
    """Divide camera translations by the scene scale, in training and sampling. False reproduces the official inputs."""


class Conditioner:
    """Turns views, prompts and cameras into a :class:`Condition`, the same way for training and sampling.

    Args:
        appearance: encodes the control video.
        config: how conditions are made.
        geometry: needed for ``control_geometry="encoded"``.
        text: needed unless text features are handed in.
        image: for models with image conditioning.
    """

    def __init__(
        self,
        appearance: Encoder,
        config: ConditioningConfig,
        *,
        geometry: Encoder | None = None,
        text: TextEncoder | None = None,
        image: ImageEncoder | None = None,
    ) -> None:
        if config.control_geometry == "encoded" and geometry is None:
            raise ValueError('control_geometry="encoded" needs a geometry codec to encode with.')
        self.appearance = appearance
        self.config = config
        self.geometry = geometry
        self.text = text
        self.image = image

    def __call__(
        self,
        video: Float[Tensor, "B F 3 H W"],
        given: Bool[Tensor, "B F"],
        prompts: Sequence[str] | Float[Tensor, "B L Dt"],
        cameras: Cameras | None = None,
        *,
        grid: LatentGrid,
        known: Bool[Tensor, "B F"] | None = None,
        scale: Float[Tensor, " B"] | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> Condition:
        """Encode everything.

        Args:
            video: frames in [0, 1]; only the given ones are looked at.
            given: frames that are views, any subset, different in each sample.
            prompts: one per sample, or their features.
            cameras: ``[B, F]``, any world frame; None = free.
            grid: sizes of the clip.
            known: frames whose camera is known; None = all.
            scale: scene scale (see ``conditioning.cameras``), in the unit of the cameras.
            generator: for ``sample_control``; one, or one per sample.
        """
        return Condition(
            control=self.control(video, given, generator),
            text=self.text_features(prompts),
            camera=self.rays(cameras, grid, like=video, known=known, scale=scale),
            image=self.image_features(video, given),
        )

    def control(
        self,
        video: Float[Tensor, "B F 3 H W"],
        given: Bool[Tensor, "B F"],
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> Float[Tensor, "B 20 f h joint"]:
        """Control latents and mask."""
        masked = control_video(video, given)
        appearance_posterior = self.appearance.encode(masked)
        appearance = self._take(appearance_posterior, generator)
        if self.config.control_geometry == "encoded":
            assert self.geometry is not None
            latents = pair(appearance, self._take(self.geometry.encode(masked), generator))
        else:
            latents = left_only(appearance)
        mask = mask_channels(given, (latents.shape[-2], appearance.shape[-1]))
        return torch.cat([latents, mask.to(latents.dtype)], dim=1)

    def rays(
        self,
        cameras: Cameras | None,
        grid: LatentGrid,
        *,
        like: Tensor,
        known: Bool[Tensor, "B F"] | None = None,
        scale: Float[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B 24 f rows columns"]:
        """Packed rays of ``cameras``, or zeros for as many samples as ``like`` has."""
        size = grid.latent_size if self.config.rays_at_latent_size else grid.size
        if cameras is None:
            return free_cameras(grid, size, like)
        relative = relative_cameras(cameras, scale if self.config.normalize_scale else None)
        return camera_rays_packed(relative, size, known).to(like.dtype)

    def text_features(self, prompts: Sequence[str] | Float[Tensor, "B L Dt"]) -> Float[Tensor, "B L Dt"]:
        """Features of prompts; features pass through."""
        if isinstance(prompts, Tensor):
            return prompts
        if self.text is None:
            raise ValueError("no text encoder: hand in text features [B, L, Dt] instead of prompts.")
        return self.text.encode(prompts)

    def image_features(
        self, video: Float[Tensor, "B F 3 H W"], given: Bool[Tensor, "B F"]
    ) -> Float[Tensor, "B N Di"] | None:
        """Features of each sample's first given frame (black if it has none), or None without an image encoder."""
        if self.image is None:
            return None
        first = given.int().argmax(dim=1)
        return self.image.encode(control_video(video, given)[torch.arange(len(video), device=video.device), first])

    def _take(self, posterior: Posterior, generator: torch.Generator | Sequence[torch.Generator] | None) -> Tensor:
        return posterior.sample(generator) if self.config.sample_control else posterior.mode()
