"""Images to the geometry latent, and the geometry latent to cameras, depth and points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.latents.codecs.base import ADAPTER, VGGT_FOLDER, ClipGeometry, GeometryCodec, needed
from gen3r.latents.tokens import LAYERS, pack_tokens, unpack_tokens
from gen3r.models.adapter import GeometryAdapter
from gen3r.models.posterior import Posterior
from gen3r.models.vggt import VGGT, VGGTOutput

# B batch, F frames, f latent frames, h w latent cells, gh gw token grid


class VGGTAdapterCodec(GeometryCodec):
    """Gen3R's codec: what VGGT knows of the images, compressed by the geometry adapter. Images are all it needs."""

    def __init__(self, vggt: VGGT, adapter: GeometryAdapter) -> None:
        super().__init__(vggt)
        expected = (LAYERS + 1) * vggt.config.token_dim
        if adapter.config.token_channels != expected:
            raise ValueError(
                f"the adapter reads {adapter.config.token_channels} token channels, this VGGT makes {expected}; "
                "load the adapter that was trained with it."
            )
        self.adapter = adapter

    def tokens(self, images: Float[Tensor, "B F 3 H W"]) -> Float[Tensor, "B C F gh gw"]:
        """The geometry tokens [B, 5D, F, gh, gw] of RGB images in [0, 1], all at once (training targets)."""
        layers = self.vggt.aggregate(images)
        return pack_tokens(layers, self._grid(images), self.vggt.config.special_tokens)

    def encode(
        self,
        images: Float[Tensor, "B F 3 H W"],
        truth: ClipGeometry | None = None,
        frames_chunk: int | None = 4,
    ) -> Posterior:
        """Posterior of the latent [B, 16, f, h, w] of RGB images in [0, 1], F = 4k + 1; the truth is not read.

        After the aggregator, which sees all frames together, tokens are packed and encoded `frames_chunk` frames at a
        time (a multiple of 4; None: all at once). The result does not depend on it; memory does.
        """
        factor = self.adapter.config.time_factor
        frames = images.shape[1]
        step = frames if frames_chunk is None else frames_chunk
        if frames_chunk is not None and (frames_chunk < 1 or frames_chunk % factor):
            raise ValueError(f"frames_chunk must be a multiple of {factor}, got {frames_chunk}.")
        if (frames - 1) % factor:
            low = (frames - 1) // factor * factor + 1
            raise ValueError(f"frames must be {factor}k+1, got {frames}; use {low} or {low + factor}.")
        layers = self.vggt.aggregate(images)
        if frames_chunk is None:
            return self.adapter.encode(self._packed(layers, images, 0, frames))
        starts = [0, *range(1, frames, step)]
        return self.adapter.stream_encode(
            self._packed(layers, images, start, min(start + (step if start else 1), frames)) for start in starts
        )

    def decode(
        self,
        latents: Float[Tensor, "B z f h w"] | None,
        grid: tuple[int, int] | None = None,
        image_size: tuple[int, int] | None = None,
        frames_chunk: int | None = 8,
        results_device: torch.device | None = None,
        images: Float[Tensor, "B F 3 H W"] | None = None,
    ) -> VGGTOutput:
        """Cameras, depth and points of normalised latents.

        Tokens are decoded group by group of frames and read by the dense heads at once; beyond the results, memory
        does not grow with the frames. The camera head reads the camera tokens of all frames together at the end.

        Args:
            latents: normalised, as a posterior's samples.
            grid: (gh, gw) of the tokens; by default from the latent's size.
            image_size: (H, W) of the results; by default the grid times the patch.
            frames_chunk: frames per call of a dense head.
            results_device: where the results are collected, frame group by frame group; by default with the latents.
            images: not read.

        Raises:
            ValueError: without latents.
        """
        latents = needed(latents)
        patch = self.vggt.config.patch_size
        grid = grid or self.adapter.config.token_grid((latents.shape[-2], latents.shape[-1]))
        size = image_size or (grid[0] * patch, grid[1] * patch)
        home = results_device or latents.device
        cameras, depths, points = [], [], []
        for layers in self._decoded_layers(latents, grid):
            cameras.append(layers[-1][:, :, :1].clone())
            depths.append([part.to(home) for part in self.vggt.depth_head(layers, size, frames_chunk)])
            points.append([part.to(home) for part in self.vggt.point_head(layers, size, frames_chunk)])
        depth, depth_confidence = (torch.cat(parts, dim=1) for parts in zip(*depths, strict=True))
        cloud, points_confidence = (torch.cat(parts, dim=1) for parts in zip(*points, strict=True))
        return VGGTOutput(
            pose_encodings=[pose.to(home) for pose in self.vggt.camera_head(torch.cat(cameras, dim=1))],
            depth=depth,
            depth_confidence=depth_confidence,
            points=cloud,
            points_confidence=points_confidence,
        )

    def parts(self) -> Mapping[str, nn.Module]:
        """VGGT and the adapter."""
        return {**super().parts(), ADAPTER: self.adapter}

    def encoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """VGGT's aggregator and the adapter."""
        return {VGGT_FOLDER: (self.vggt.aggregator,), ADAPTER: (self.adapter,)}

    def decoding(self) -> Mapping[str, Sequence[nn.Module]]:
        """The adapter and VGGT's heads."""
        vggt = self.vggt
        return {ADAPTER: (self.adapter,), VGGT_FOLDER: (vggt.depth_head, vggt.point_head, vggt.camera_head)}

    def _decoded_layers(self, latents: Tensor, grid: tuple[int, int]) -> Iterator[list[Tensor]]:
        for volume in self.adapter.stream_decode(latents, grid):
            yield unpack_tokens(volume, self.vggt.config.special_tokens)

    def _packed(self, layers: Sequence[Tensor], images: Tensor, start: int, stop: int) -> Tensor:
        part = [layer[:, start:stop] for layer in layers]
        return pack_tokens(part, self._grid(images), self.vggt.config.special_tokens)

    def _grid(self, images: Tensor) -> tuple[int, int]:
        return self.vggt.config.token_grid(images.shape[-2], images.shape[-1])
