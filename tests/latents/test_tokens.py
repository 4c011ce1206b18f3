import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gen3r.latents.tokens import pack_tokens, split_volume, unpack_tokens


def layers(batch: int, frames: int, grid: tuple[int, int], width: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, frames, 5 + grid[0] * grid[1], width, generator=generator) for _ in range(4)]


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
@settings(deadline=None)
def test_unpacking_a_packed_volume_restores_what_the_heads_read(
    batch: int, frames: int, rows: int, columns: int, width: int
) -> None:
    tokens = layers(batch, frames, (rows, columns), width)
    volume = pack_tokens(tokens, (rows, columns))
    assert volume.shape == (batch, 5 * width, frames, rows, columns)
    restored = unpack_tokens(volume)
    for before, after in zip(tokens, restored, strict=True):
        assert torch.equal(before[:, :, 5:], after[:, :, 5:])
    torch.testing.assert_close(restored[-1][:, :, 0], tokens[-1][:, :, 0])


def test_each_patch_lies_where_it_was_seen() -> None:
    tokens = layers(1, 2, (2, 3), 4)
    volume = pack_tokens(tokens, (2, 3))
    for i in range(4):
        assert torch.equal(volume[0, 4 * i : 4 * i + 4, 1, 1, 2], tokens[i][0, 1, 5 + 3 + 2])
    assert torch.equal(volume[0, 16:, 1, 1, 0], tokens[3][0, 1, 0])


def test_the_camera_token_is_the_mean_over_the_grid() -> None:
    volume = torch.randn(2, 10, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    patches, camera = split_volume(volume)
    assert torch.equal(patches, volume[:, :8])
    torch.testing.assert_close(camera, volume[:, 8:].mean(dim=(-1, -2)))
    everywhere, last_only = unpack_tokens(volume), unpack_tokens(volume, camera_in_all=False)
    for i in range(4):
        assert torch.equal(everywhere[i][:, :, :5], camera.transpose(1, 2)[:, :, None].expand(-1, -1, 5, -1))
        assert bool((last_only[i][:, :, :5] == 0).all()) == (i < 3)
    assert torch.equal(everywhere[3], last_only[3])


def test_gradients_pass_both_ways() -> None:
    tokens = [layer.requires_grad_() for layer in layers(1, 1, (2, 2), 3)]
    sum(layer.square().sum() for layer in unpack_tokens(pack_tokens(tokens, (2, 2)))).backward()
    for i, layer in enumerate(tokens):
        assert (layer.grad[:, :, 5:] != 0).all()
        assert bool((layer.grad[:, :, 0] != 0).all()) == (i == 3)


def test_wrong_layers_are_refused() -> None:
    tokens = layers(1, 1, (2, 3), 4)
    with pytest.raises(ValueError, match="kept token layers, got 3"):
        pack_tokens(tokens[:3], (2, 3))
    with pytest.raises(ValueError, match="5 \\+ 3x3 tokens"):
        pack_tokens(tokens, (3, 3))
    with pytest.raises(ValueError, match="blocks of channels, got 7"):
        split_volume(torch.zeros(1, 7, 1, 2, 2))
