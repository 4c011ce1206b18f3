"""Where two views see the same place: geometry first, then what is learned from it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3r.cameras.cameras import Cameras
from gen3r.models.vggt import VGGT, VGGTConfig
from gen3r.train.losses.matching import (
    Correspondences,
    FlowHeads,
    attention_error,
    bilinear_weights,
    correspondences,
    flow_error,
)

SIDE, GRID = 56, (4, 4)
CONFIG = VGGTConfig(
    image_size=SIDE,
    patch_embed="conv",
    embed_dim=32,
    depth=4,
    heads=2,
    layer_scale=0.2,
    kept_layers=(0, 1, 2, 3),
    camera_depth=1,
    camera_heads=2,
    dense_features=16,
    dense_channels=(16, 16, 16, 16),
    dense_hidden=8,
)


def cameras(step: float, turn: float = 0.0) -> Cameras:
    """Two cameras looking along z: the second moved to the right, and turned to the right by radians."""
    extrinsics = torch.eye(4).repeat(1, 2, 1, 1)
    angle = torch.tensor(turn)
    extrinsics[0, 1, 0, 0] = extrinsics[0, 1, 2, 2] = angle.cos()
    extrinsics[0, 1, 0, 2], extrinsics[0, 1, 2, 0] = -angle.sin(), angle.sin()
    extrinsics[0, 1, :3, 3] = extrinsics[0, 1, :3, :3] @ torch.tensor([-step, 0.0, 0.0])
    focal = float(SIDE)
    intrinsics = torch.tensor([[focal, 0, SIDE / 2], [0, focal, SIDE / 2], [0, 0, 1]]).repeat(1, 2, 1, 1)
    return Cameras(extrinsics, intrinsics, SIDE, SIDE)


def centres() -> torch.Tensor:
    """Middles of the patches."""
    line = (torch.arange(4) + 0.5) / 4
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1).view(-1, 2)


def test_a_wall_moves_against_the_camera() -> None:
    match = correspondences(torch.full((1, 2, SIDE, SIDE), 2.0), cameras(step=0.5), GRID)
    shift = torch.tensor([0.5 / 2.0, 0.0])
    moved = centres() - shift
    seen = moved[:, 0] > 0
    pixel = 0.5 / SIDE  # patches have an even side: the pixel nearest to the middle is half a pixel off
    assert torch.equal(match.seen[0, 0], seen)
    assert torch.allclose(match.position[0, 0][seen], moved[seen], atol=1.1 * pixel)
    assert torch.allclose(
        match.position[0, 1][match.seen[0, 1]], (centres() + shift)[match.seen[0, 1]], atol=1.1 * pixel
    )


def test_sky_moves_by_rotation_alone() -> None:
    far = correspondences(torch.zeros(1, 2, SIDE, SIDE), cameras(step=0.5), GRID)
    assert torch.allclose(far.position[0, 0], centres() + 0.5 / SIDE, atol=1e-3)
    turned = correspondences(torch.zeros(1, 2, SIDE, SIDE), cameras(step=0.0, turn=0.2), GRID)
    assert (turned.position[0, 0][turned.seen[0, 0]] - centres()[turned.seen[0, 0]])[:, 0].max() < -0.1


def test_what_is_behind_something_is_not_seen() -> None:
    depth = torch.full((1, 2, SIDE, SIDE), 2.0)
    depth[:, 1] = 1.0  # the other view is blocked by something nearer
    match = correspondences(depth, cameras(step=0.0), GRID)
    assert not match.seen[0, 0].any()
    assert match.seen[0, 1].all()


@given(st.lists(st.floats(0.13, 0.87), min_size=2, max_size=2))
@settings(max_examples=20, deadline=None)
def test_weights_lie_around_the_place(place: list[float]) -> None:
    position = torch.tensor(place).expand(1, 2, 16, 2)
    weights = bilinear_weights(position, GRID)
    assert torch.allclose(weights.sum(-1), torch.ones(1, 2, 16))
    assert torch.allclose(weights @ centres(), position, atol=1e-5)


def test_attention_learns_to_look_at_the_same_place() -> None:
    torch.manual_seed(0)
    vggt, tokens = VGGT(CONFIG), torch.randn(1, 2, 5 + 16, 64)
    match = Correspondences(position=centres().expand(1, 2, 16, 2), seen=torch.ones(1, 2, 16, dtype=torch.bool))
    optimizer = torch.optim.Adam(vggt.aggregator.global_blocks[1].parameters(), lr=1e-2)
    errors = []
    for _ in range(30):
        error = attention_error(vggt, tokens, 1, 1, match, GRID)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]
    nothing = Correspondences(position=match.position, seen=torch.zeros_like(match.seen))
    assert attention_error(vggt, tokens, 1, 1, nothing, GRID).item() == 0


def test_flow_is_relative_to_each_token() -> None:
    shift = torch.tensor([0.1, -0.05])
    match = Correspondences(position=(centres() + shift).expand(1, 2, 16, 2), seen=torch.ones(1, 2, 16).bool())
    assert flow_error([shift.expand(1, 2, 16, 2)], match, GRID).item() == pytest.approx(0, abs=1e-6)
    assert flow_error([torch.zeros(1, 2, 16, 2)], match, GRID).item() == pytest.approx(0.15, abs=1e-6)
    flows = FlowHeads(64, 2)([torch.randn(1, 2, 16, 64)] * 2)
    assert [tuple(flow.shape) for flow in flows] == [(1, 2, 16, 2)] * 2
