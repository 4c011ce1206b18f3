"""Camera tokens to pose encodings, refined over a few iterations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3r.models.vggt.blocks import Block, Mlp
from gen3r.models.vggt.config import VGGTConfig

POSE_NUMBERS = 9  # translation 3, quaternion xyzw 4, vertical and horizontal field of view
FOV_START = 7


class CameraHead(nn.Module):
    """A trunk over the frames' camera tokens, modulated by the current pose (adaptive LayerNorm)."""

    def __init__(self, config: VGGTConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.token_dim
        self.token_norm = nn.LayerNorm(dim)
        self.empty_pose = nn.Parameter(torch.zeros(1, 1, POSE_NUMBERS))
        self.pose_embed = nn.Linear(POSE_NUMBERS, dim)
        self.modulation = nn.Linear(dim, 3 * dim)
        self.plain_norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.trunk = nn.ModuleList(
            Block(dim, config.camera_heads, mlp_ratio=config.mlp_ratio, layer_scale=config.layer_scale)
            for _ in range(config.camera_depth)
        )
        self.trunk_norm = nn.LayerNorm(dim)
        self.pose_branch = Mlp(dim, dim // 2, POSE_NUMBERS)

    def forward(self, tokens: Float[Tensor, "B F P D"]) -> list[Float[Tensor, "B F 9"]]:
        """Pose encodings after every iteration, the last being the prediction; reads token 0 of each frame only.

        An encoding is (translation of camera-from-world, quaternion xyzw, vertical and horizontal field of view in
        radians, not negative). Runs in float32 under autocast.
        """
        with torch.autocast(tokens.device.type, enabled=False):
            return self._refine(self.token_norm(tokens[:, :, 0].to(self.empty_pose.dtype)))

    def _refine(self, token: Tensor) -> list[Tensor]:
        empty = self.empty_pose.expand(token.shape[0], token.shape[1], -1)
        pose = token.new_tensor(self.config.initial_pose or (0.0,) * POSE_NUMBERS)
        outputs = []
        for iteration in range(self.config.camera_iterations):
            pose = pose.detach()
            known = pose if iteration else empty
            shift, scale, gate = self.modulation(F.silu(self.pose_embed(known))).chunk(3, dim=-1)
            y = token + gate * (self.plain_norm(token) * (1 + scale) + shift)
            for block in self.trunk:
                y = block(y)
            delta = self.pose_branch(self.trunk_norm(y))
            pose = pose + delta
            outputs.append(torch.cat([pose[..., :FOV_START], F.relu(pose[..., FOV_START:])], dim=-1))
        return outputs
