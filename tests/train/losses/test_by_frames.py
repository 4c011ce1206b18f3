"""Errors computed a few frames at a time against those of whole volumes."""

from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gen3r.latents.tokens import split_volume, unpack_tokens
from gen3r.models.vggt import VGGT, VGGTConfig
from gen3r.train.losses.adapter import (
    AdapterLossConfig,
    ReconstructionErrors,
    camera_loss,
    cosine_loss,
    depth_loss,
    points_loss,
)
from gen3r.train.losses.by_frames import FRAMES_AT_ONCE, reconstruction_errors

SIZE, GRID = (56, 56), (4, 4)
CONFIG = AdapterLossConfig()


@pytest.fixture(scope="module")
def vggt() -> VGGT:
    torch.manual_seed(0)
    config = VGGTConfig(
        image_size=56,
        patch_embed="conv",
        embed_dim=16,
        depth=4,
        heads=2,
        kept_layers=(0, 1, 2, 3),
        camera_depth=1,
        camera_heads=2,
        camera_iterations=2,
        dense_features=8,
        dense_channels=(8, 8, 8, 8),
        dense_hidden=4,
    )
    return VGGT(config).requires_grad_(False)


def whole(vggt: VGGT, made: Tensor, aim: Tensor, frames: list[int]) -> ReconstructionErrors:
    """All heads on all frames at once."""

    def heads(volume: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        layers = unpack_tokens(volume, vggt.config.special_tokens, camera_in_all=False)
        depth, points = (head(layers, SIZE, None)[0][:, frames] for head in (vggt.depth_head, vggt.point_head))
        return [pose[:, frames] for pose in vggt.camera_head(layers[-1])], depth, points

    (patches, camera), (target_patches, target_camera) = split_volume(made), split_volume(aim)
    (poses, depth, points), (target_poses, target_depth, target_points) = heads(made), heads(aim)
    return ReconstructionErrors(
        image_tokens=F.smooth_l1_loss(patches, target_patches, beta=CONFIG.image_token_beta),
        camera_tokens=F.smooth_l1_loss(camera, target_camera, beta=CONFIG.camera_token_beta),
        camera=camera_loss(poses, target_poses, CONFIG),
        depth=depth_loss(depth, target_depth),
        points=points_loss(points, target_points),
        similarity=cosine_loss(patches, target_patches) + cosine_loss(camera, target_camera),
    )


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    ("batch", "count", "frames"),
    [
        (1, 2 * FRAMES_AT_ONCE + 1, list(range(2 * FRAMES_AT_ONCE + 1))),  # the last part is one frame
        (1, 2 * FRAMES_AT_ONCE + 1, [1, FRAMES_AT_ONCE - 1]),  # parts without compared frames
        (FRAMES_AT_ONCE + 1, 3, [0, 2]),  # every frame by itself
    ],
)
def test_parts_add_up_to_the_whole_and_so_do_gradients(
    vggt: VGGT, batch: int, count: int, frames: list[int], recompute: bool
) -> None:
    rng = torch.Generator().manual_seed(1)
    made, aim = (torch.randn(batch, 5 * vggt.config.token_dim, count, *GRID, generator=rng) for _ in range(2))
    parts = reconstruction_errors(
        vggt, made.requires_grad_(), aim, frames=frames, size=SIZE, config=CONFIG, recompute=recompute
    )
    expected = whole(vggt, made, aim, frames)
    for field in fields(ReconstructionErrors):
        value, wanted = getattr(parts, field.name), getattr(expected, field.name)
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6)
        (gradient,), (wanted_gradient,) = (
            torch.autograd.grad(error, made, retain_graph=True) for error in (value, wanted)
        )
        assert wanted_gradient.abs().sum() > 0
        assert (gradient - wanted_gradient).norm() < 1e-5 * wanted_gradient.norm()
