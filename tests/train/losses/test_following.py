"""Attention that follows the camera: what is watched is what the transformer does, and it can be taught."""

from typing import Any, cast

import torch
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.models.transformer import JointTransformer, TransformerConfig
from gen3r.models.transformer.rotary import rotate
from gen3r.train.losses.following import Sightings, following_error, sightings, watched

SIDE, GRID, FRAMES = 32, (2, 2), 9
CONFIG = TransformerConfig(
    num_attention_heads=3, attention_head_dim=12, num_layers=2, ffn_dim=32, text_dim=16, text_length=8, freq_dim=32,
    image_dim=None,
)  # fmt: skip


def cameras(step: float) -> Cameras:
    """A camera that moves to the right by ``step`` a frame and looks along z."""
    extrinsics = torch.eye(4).repeat(1, FRAMES, 1, 1)
    extrinsics[0, :, 0, 3] = -step * torch.arange(FRAMES)
    intrinsics = torch.tensor([[SIDE, 0, SIDE / 2], [0, SIDE, SIDE / 2], [0, 0, 1.0]]).repeat(1, FRAMES, 1, 1)
    return Cameras(extrinsics, intrinsics, SIDE, SIDE)


def transformer() -> JointTransformer:
    torch.manual_seed(0)
    return JointTransformer(CONFIG)


def inputs() -> dict[str, Tensor]:
    """Two latent frames of 4x4 cells beside 4x4 cells."""
    generator = torch.Generator().manual_seed(1)

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    control = draw(2, CONFIG.control_channels, 2, 4, 8)
    return {
        "latents": draw(2, 32 // 2, 2, 4, 8), "timestep": torch.tensor([300.0, 800.0]), "control": control,
        "text": draw(2, 8, 16),
    }  # fmt: skip


def test_a_camera_that_stands_still_sees_every_token_where_it_is() -> None:
    found = sightings(torch.full((1, FRAMES, SIDE, SIDE), 2.0), cameras(0.0), GRID)
    centres = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    assert found.seen[0].tolist() == [
        [[False] * 4, [True] * 4, [True] * 4],
        [[True] * 4, [True] * 4, [False] * 4],
    ]
    position = found.position[found.seen].view(4, 4, 2)
    torch.testing.assert_close(position, centres.expand(4, 4, 2) + 0.5 / SIDE, atol=1e-5, rtol=0)


def test_a_wall_has_moved_by_the_disparity_of_the_frames_between() -> None:
    step, depth = 0.02, 2.0
    found = sightings(torch.full((1, FRAMES, SIDE, SIDE), depth), cameras(step), GRID)
    still = sightings(torch.full((1, FRAMES, SIDE, SIDE), depth), cameras(0.0), GRID)
    shift = found.position - still.position
    for end, latent, frames in ((0, 1, 3), (0, 2, 7), (1, 0, -8), (1, 1, -5)):
        assert found.seen[0, end, latent].all()
        expected = torch.tensor([frames * step / depth, 0.0]).expand(4, 2)
        torch.testing.assert_close(shift[0, end, latent], expected, atol=1e-4, rtol=0)


def test_what_is_watched_is_what_attention_does() -> None:
    model, given = transformer(), inputs()
    seen: list[tuple[Tensor, Tensor]] = []
    attention = cast(Any, model.blocks[1]).attn1
    hook = attention.register_forward_hook(lambda module, arguments, output: seen.append((arguments[0], output)))
    with torch.no_grad(), watched(model, (1,)) as looks:
        model(**given)
    hook.remove()
    table = model.rope(given["latents"])
    query, key = (rotate(x.unflatten(2, (3, -1)), table) for x in looks[0])
    value = attention.to_v(seen[0][0]).unflatten(2, (3, -1))
    weights = (torch.einsum("nqhd,nkhd->nhqk", query, key) / 12**0.5).softmax(dim=-1)
    mixed = attention.to_out[0](torch.einsum("nhqk,nkhd->nqhd", weights, value).flatten(2))
    torch.testing.assert_close(mixed, seen[0][1], atol=1e-4, rtol=1e-4)
    assert not attention.norm_q._forward_hooks


def test_attention_learns_to_follow() -> None:
    model, given = transformer(), inputs()
    grid = torch.tensor([[0.75, 0.25], [0.25, 0.25], [0.75, 0.75], [0.25, 0.75]])  # left and right exchanged
    seen = torch.tensor([[False, True], [True, False]])[None, :, :, None].expand(2, 2, 2, 4)
    found = Sightings(position=grid.expand(2, 2, 2, 4, 2), seen=seen)
    optimizer = torch.optim.Adam([w for w in model.parameters() if w.requires_grad], lr=1e-2)
    errors = []
    for _ in range(25):
        with watched(model, (0, 1)) as looks:
            model(**given)
        error = following_error(model, looks, given["latents"], found, halves=2)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    tokens = 2 * 2 * 4
    assert abs(errors[0] - torch.tensor(tokens).float().log()) < 1.0
    assert errors[-1] < 0.3 * errors[0]
