"""Sizes: valid ones hang together, invalid ones are told their neighbours."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen3r.latents.grid import LatentGrid, nearest_frames, nearest_side, side_multiple

PATCHES = st.sampled_from([14, 16])


@given(k=st.integers(0, 30), rows=st.integers(1, 6), columns=st.integers(1, 6), patch=PATCHES)
def test_derived_sizes_hang_together(k: int, rows: int, columns: int, patch: int) -> None:
    unit = side_multiple(patch)
    grid = LatentGrid(4 * k + 1, rows * unit, columns * unit, patch)
    assert grid.latent_frames == k + 1
    height, width = grid.latent_size
    assert (height * 8, width * 8) == grid.size
    assert height % 2 == width % 2 == 0
    assert (grid.token_grid[0] * patch, grid.token_grid[1] * patch) == grid.size
    assert grid.joint_shape == (16, k + 1, height, 2 * width)


def test_named_sizes() -> None:
    tiny, official = LatentGrid(9, 112, 112), LatentGrid(49, 560, 560)
    assert (tiny.token_grid, tiny.latent_size) == ((8, 8), (14, 14))
    assert (official.token_grid, official.latent_size, official.latent_frames) == ((40, 40), (70, 70), 13)


@given(frames=st.integers(-5, 200), height=st.integers(-20, 1200), width=st.integers(-20, 1200), patch=PATCHES)
def test_suggested_sizes_are_valid_and_near(frames: int, height: int, width: int, patch: int) -> None:
    for count in nearest_frames(frames):
        assert abs(count - max(frames, 1)) <= 4
        LatentGrid(count, side_multiple(patch), side_multiple(patch), patch)
    for wish in (height, width):
        for side in nearest_side(wish, patch):
            assert abs(side - max(wish, side_multiple(patch))) <= side_multiple(patch)
            LatentGrid(1, side, side, patch)


@given(frames=st.integers(1, 200).filter(lambda frames: frames % 4 != 1))
def test_bad_frames_are_told_their_neighbours(frames: int) -> None:
    low, high = nearest_frames(frames)
    assert low < frames < high
    with pytest.raises(ValueError, match=f"got {frames}; use {low} or {high}"):
        LatentGrid(frames, 112, 112)


@given(side=st.integers(113, 900).filter(lambda side: side % 112), name=st.sampled_from(["height", "width"]))
def test_bad_sides_are_told_their_neighbours(side: int, name: str) -> None:
    low, high = nearest_side(side, 14)
    sizes = {"height": 112, "width": 112, name: side}
    with pytest.raises(ValueError, match=re.escape(f"{name} must be a multiple of 112")) as error:
        LatentGrid(9, **sizes)
    assert f"got {side}; use {low} or {high}" in str(error.value)


@pytest.mark.parametrize("frames", [0, -3])
def test_too_few_frames(frames: int) -> None:
    with pytest.raises(ValueError, match="use 1"):
        LatentGrid(frames, 112, 112)
