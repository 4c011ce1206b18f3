"""What a geometry codec is: the geometry of a clip to the right half of the joint latent, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.cameras import Cameras, mean_depth
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGT, VGGTOutput

CodecName = Literal["vggt-adapter", "vggt-adapter-nokl", "xyz", "depth-rays", "none"]
DEFAULT_CODEC: CodecName = "vggt-adapter"
"""Gen3R's own, and that of model folders and latents that do not name theirs."""
VAE, VGGT_FOLDER, ADAPTER = "vae", "vggt", "geometry_adapter"
"""Networks that codecs are made of, by their names in a model folder."""


@dataclass(frozen=True, kw_only=True)
class ClipGeometry:
    """True geometry of some clips, for codecs that encode it. Any world frame, any unit."""

    depth: Float[Tensor, "B F H W"]
    """z-depth; 0 where there is no surface."""
    cameras: Cameras
    """``[B, F]``, of the size and in the unit of the depth maps."""

    def normalized(self) -> ClipGeometry:
        """The same with the first camera as the world and the mean depth of the first view as the unit."""
        scale = mean_depth(self.depth[:, 0])
        cameras = self.cameras.rebased().scaled(1 / scale[:, None])
        return ClipGeometry(depth=self.depth / scale[:, None, None, None], cameras=cameras)


class GeometryCodec(nn.Module, ABC):
    """Encoder and decoder of geometry. Lengths are in mean depths of the first view, the world is the first camera.

    Args:
        reader: VGGT, where the model has one: it reads cameras and depth in pictures.
    """

    name: CodecName = DEFAULT_CODEC
    """What model folders and latents call it."""
    halves: ClassVar[int] = 2
    """Latents side by side in what the transformer denoises: appearance and geometry, or appearance alone."""
    needs_truth: ClassVar[bool] = False
    """Whether encoding reads true depth and cameras; if not, images are enough."""

    def __init__(self, reader: VGGT | None) -> None:
        super().__init__()
        self.reader = reader

    @property
    def vggt(self) -> VGGT:
        """The VGGT of the model.

        Raises:
            ValueError: if it has none.
        """
        if self.reader is None:
            raise ValueError(
                "this model has no VGGT, which reads cameras and depth in pictures; put one into it with gen3r models "
                "assemble, or take a model that has one."
            )
        return self.reader

    @abstractmethod
    def encode(self, images: Float[Tensor, "B F 3 H W"], truth: ClipGeometry | None = None) -> Posterior:
        """Posterior of the latent ``[B, 16, f, h, w]`` of clips, F = 4k + 1.

        Args:
            images: RGB in [0, 1].
            truth: of the same clips; read where ``needs_truth``.

        Raises:
            ValueError: for a wrong number of frames, without a truth that is needed, and from codecs of one half.
        """

    @abstractmethod
    def decode(
        self,
        latents: Float[Tensor, "B z f h w"] | None,
        grid: tuple[int, int] | None = None,
        image_size: tuple[int, int] | None = None,
        frames_chunk: int | None = 8,
        results_device: torch.device | None = None,
        images: Float[Tensor, "B F 3 H W"] | None = None,
    ) -> VGGTOutput:
        """Cameras, depth and points.

        Args:
            latents: normalised, as a posterior's samples; None for codecs of one half.
            grid: rows and columns of VGGT's tokens, for codecs that make such; by default from the latent's size.
            image_size: (H, W) of the results; by default from the latent's size.
            frames_chunk: frames per call of a head of VGGT.
            results_device: where the results are collected; by default with the latents.
            images: the decoded appearance, RGB in [0, 1], in which codecs of one half read the geometry.
        """

    def parts(self) -> Mapping[str, nn.Module]:
        """Networks besides the VAE, by their names in a model folder."""
        return {} if self.reader is None else {VGGT_FOLDER: self.reader}

    @abstractmethod
    def encoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """What works while encoding, by the network that it is (a part of)."""

    @abstractmethod
    def decoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """What works while decoding, by the network that it is (a part of)."""


def needed(latents: Tensor | None) -> Tensor:
    """Latents that a codec of two halves cannot do without; ValueError if there are none."""
    if latents is None:
        raise ValueError("expected geometry latents to decode, got none.")
    return latents
