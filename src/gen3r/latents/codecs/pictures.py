"""Geometry as pictures: maps of a clip, painted in RGB and coded by the video VAE of its appearance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.cameras import Cameras
from gen3r.cameras.pose_encoding import encode_pose
from gen3r.latents.appearance import AppearanceCodec
from gen3r.latents.codecs.base import VAE, ClipGeometry, GeometryCodec, needed
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGT, VGGTOutput

FAR = 10.0
"""Surfaces that are decoded farther away, in mean depths of the first view, count as none: there the pictures are too
coarse to tell them from sky."""
_SMOOTH = 0.05
"""Change of depth from pixel to pixel, as a share, at which confidence has fallen by half."""


class PictureCodec(GeometryCodec):
    """Paints true geometry as a video that the VAE encodes, and reads cameras and depth in what the VAE decodes.

    No network of its own. Principal points are taken to be image centres, as in VGGT's pose encoding, and all frames
    to be taken through one lens.

    Args:
        appearance: the VAE with its normalisation.
        reader: VGGT, for models that have one; neither encoding nor decoding reads it.
    """

    needs_truth: ClassVar[bool] = True
    gain: ClassVar[float] = 1.0
    """Latents are those of the VAE times this number, so that they spread about as those of photographs do."""

    def __init__(self, appearance: AppearanceCodec, reader: VGGT | None = None) -> None:
        super().__init__(reader)
        self.appearance = appearance

    @abstractmethod
    def paint(self, truth: ClipGeometry) -> Float[Tensor, "B F 3 H W"]:
        """Pictures in [0, 1] of normalised geometry."""

    @abstractmethod
    def read(
        self, pictures: Float[Tensor, "B F 3 H W"]
    ) -> tuple[Cameras, Float[Tensor, "B F H W"], Float[Tensor, "B F H W 3"]]:
        """Cameras, z-depth (0 where there is no surface) and points in the first camera's axes of painted pictures."""

    def encode(self, images: Float[Tensor, "B F 3 H W"], truth: ClipGeometry | None = None) -> Posterior:
        """See ``GeometryCodec``; the images are not read.

        Raises:
            ValueError: without a truth.
        """
        if truth is None:
            raise ValueError(
                f"{type(self).__name__} encodes true depth and cameras, got images alone; train on clips that have "
                "both, and leave geometry out of the control latents."
            )
        posterior = self.appearance.encode(self.paint(truth.normalized()).to(images))
        return Posterior(mean=self.gain * posterior.mean, logvar=posterior.logvar + 2 * _log(self.gain))

    def decode(
        self,
        latents: Float[Tensor, "B z f h w"] | None,
        grid: tuple[int, int] | None = None,
        image_size: tuple[int, int] | None = None,
        frames_chunk: int | None = 8,
        results_device: torch.device | None = None,
        images: Float[Tensor, "B F 3 H W"] | None = None,
    ) -> VGGTOutput:
        """See ``GeometryCodec``; sizes follow from the latents, confidence is high where depth is smooth."""
        latents = needed(latents)
        home = results_device or latents.device
        parts = [part.float().to(home) for part in self.appearance.stream_decode(latents / self.gain)]
        cameras, depth, points = self.read(torch.cat(parts, dim=1))
        confidence = smoothness(depth)
        return VGGTOutput(
            pose_encodings=[encode_pose(cameras.extrinsics, cameras.intrinsics, (cameras.height, cameras.width))],
            depth=depth,
            depth_confidence=confidence,
            points=points,
            points_confidence=confidence,
        )

    def encoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """The VAE."""
        return {VAE: (self.appearance,)}

    def decoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """The VAE."""
        return {VAE: (self.appearance,)}


def smoothness(depth: Float[Tensor, "*b H W"]) -> Float[Tensor, "*b H W"]:
    """Confidence in (1, 2]: lower where depth jumps, for a VAE smears the two sides of an edge into each other."""
    rows = (depth[..., 1:, :] - depth[..., :-1, :]).abs()
    columns = (depth[..., :, 1:] - depth[..., :, :-1]).abs()
    zero_row, zero_column = torch.zeros_like(depth[..., :1, :]), torch.zeros_like(depth[..., :, :1])
    up, down = torch.cat([zero_row, rows], dim=-2), torch.cat([rows, zero_row], dim=-2)
    left, right = torch.cat([zero_column, columns], dim=-1), torch.cat([columns, zero_column], dim=-1)
    jump = torch.stack([up, down, left, right]).amax(dim=0) / depth.clamp_min(1e-3)
    return 1 + _SMOOTH / (_SMOOTH + jump)


def _log(value: float) -> float:
    return float(torch.tensor(value).log())
