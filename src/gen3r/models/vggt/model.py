"""VGGT (Wang et al. 2025): images to cameras, depth and points in the frame of the first camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.models.vggt.aggregator import Aggregator
from gen3r.models.vggt.camera_head import CameraHead
from gen3r.models.vggt.config import VGGTConfig
from gen3r.models.vggt.dense_head import DenseHead, depth_from_raw, points_from_raw

# B batch, F frames, P tokens of a frame, D token width, H W image


@dataclass(frozen=True, kw_only=True)
class VGGTOutput:
    """Predictions of the three heads; lengths are in the model's own scale."""

    pose_encodings: list[Float[Tensor, "B F 9"]]
    """One per iteration, the last is the prediction: translation, quaternion xyzw, vertical and horizontal FoV."""
    depth: Float[Tensor, "B F H W"]
    """z-depth, positive."""
    depth_confidence: Float[Tensor, "B F H W"]
    """In (1, inf)."""
    points: Float[Tensor, "B F H W 3"]
    """Points in the coordinates of the first camera."""
    points_confidence: Float[Tensor, "B F H W"]
    """In (1, inf)."""

    @property
    def pose_encoding(self) -> Float[Tensor, "B F 9"]:
        """The pose prediction."""
        return self.pose_encodings[-1]

    def to(self, device: torch.device | str) -> VGGTOutput:
        """The same predictions in the memory of a device."""
        return VGGTOutput(
            pose_encodings=[encoding.to(device) for encoding in self.pose_encodings],
            depth=self.depth.to(device),
            depth_confidence=self.depth_confidence.to(device),
            points=self.points.to(device),
            points_confidence=self.points_confidence.to(device),
        )


class VGGT(nn.Module):
    """Aggregator, camera head, depth head and point head."""

    def __init__(self, config: VGGTConfig | None = None) -> None:
        super().__init__()
        self.config = config or VGGTConfig()
        self.aggregator = Aggregator(self.config)
        self.camera_head = CameraHead(self.config)
        self.depth_head = DenseHead(self.config, 1, depth_from_raw)
        self.point_head = DenseHead(self.config, 3, points_from_raw)

    def set_gradient_checkpointing(self, enabled: bool) -> None:
        """Recompute block activations in the backward pass: less memory, about a third more time."""
        self.aggregator.gradient_checkpointing = enabled
        self.aggregator.patch_embed.gradient_checkpointing = enabled

    def aggregate(
        self, images: Float[Tensor, "B F 3 H W"], layers: Sequence[int] | None = None
    ) -> list[Float[Tensor, "B F P D"]]:
        """Tokens of the four kept rounds (or of `layers`) for RGB images in [0, 1]."""
        return self.aggregator(images, layers)

    def decode(
        self, tokens: Sequence[Float[Tensor, "B F P D"]], image_size: tuple[int, int], frames_chunk: int | None = 8
    ) -> VGGTOutput:
        """Run the three heads on the four token layers; `image_size` is (H, W)."""
        depth, depth_confidence = self.depth_head(tokens, image_size, frames_chunk)
        points, points_confidence = self.point_head(tokens, image_size, frames_chunk)
        return VGGTOutput(
            pose_encodings=self.camera_head(tokens[-1]),
            depth=depth,
            depth_confidence=depth_confidence,
            points=points,
            points_confidence=points_confidence,
        )

    def forward(self, images: Float[Tensor, "B F 3 H W"], frames_chunk: int | None = 8) -> VGGTOutput:
        """Aggregate and decode RGB images in [0, 1] whose sides are multiples of the patch size."""
        return self.decode(self.aggregate(images), (images.shape[-2], images.shape[-1]), frames_chunk)
