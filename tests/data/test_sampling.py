"""Frames of clips: laws of the sampler, and the official behaviour."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.data.sampling import ClipSampler


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


samplers = st.builds(
    lambda frames, low, more, official, fixed: ClipSampler(
        frames=frames, strides=(low, low + more), official=official, fixed=fixed
    ),
    frames=st.integers(1, 30),
    low=st.integers(1, 3),
    more=st.integers(0, 3),
    official=st.booleans(),
    fixed=st.booleans(),
)


@given(sampler=samplers, count=st.integers(1, 120), seed=st.integers(0, 20))
def test_frames_are_in_the_scene_in_order_and_repeat(sampler: ClipSampler, count: int, seed: int) -> None:
    indices = sampler.indices(count, rng(seed))
    assert len(indices) == sampler.frames
    assert indices == sorted(indices)
    assert 0 <= indices[0] <= indices[-1] < count
    assert indices == sampler.indices(count, rng(seed))


@given(sampler=samplers, count=st.integers(1, 120), seed=st.integers(0, 20))
def test_one_stride_within_the_range_or_every_frame(sampler: ClipSampler, count: int, seed: int) -> None:
    indices = sampler.indices(count, rng(seed))
    steps = {after - before for before, after in pairwise(indices)}
    low, high = sampler.strides
    if count >= sampler.frames * high:
        assert len(steps) <= 1
        assert steps <= set(range(low, high + 1))
    elif count < sampler.frames:
        assert set(indices) == set(range(count))  # every frame is there, the ends repeat
        inner = [index for index in indices if 0 < index < count - 1]
        assert len(inner) == max(0, count - 2)
    else:
        assert len(steps) <= 1
        assert all(1 <= step <= high for step in steps)


def drawn(sampler: ClipSampler, count: int) -> list[list[int]]:
    return [sampler.indices(count, rng(seed)) for seed in range(300)]


def test_both_ends_of_the_stride_range_are_drawn_but_for_the_official_way() -> None:
    meant = drawn(ClipSampler(frames=5), 40)
    assert {clip[1] - clip[0] for clip in meant} == {1, 2}
    official = drawn(ClipSampler(frames=5, official=True), 40)
    assert {clip[1] - clip[0] for clip in official} == {1}
    assert {clip[1] - clip[0] for clip in drawn(ClipSampler(frames=5, strides=(1, 3), official=True), 40)} == {1, 2}


def test_every_start_is_drawn() -> None:
    clips = drawn(ClipSampler(frames=4, strides=(2, 2)), 10)
    assert {clip[0] for clip in clips} == {0, 1, 2, 3}
    assert max(clip[-1] for clip in clips) == 9


def test_short_scenes_repeat_either_end() -> None:
    clips = drawn(ClipSampler(frames=5, strides=(1, 1)), 3)
    assert {tuple(clip) for clip in clips} == {(0, 1, 2, 2, 2), (0, 0, 1, 2, 2), (0, 0, 0, 1, 2)}


def test_validation_starts_at_the_first_frame_and_draws_nothing() -> None:
    sampler = ClipSampler(frames=4, fixed=True)
    assert {tuple(clip) for clip in drawn(sampler, 20)} == {(0, 1, 2, 3)}
    assert sampler.indices(2, rng(0)) == [0, 1, 1, 1]


@pytest.mark.parametrize("strides", [(0, 1), (2, 1)])
def test_impossible_settings_are_refused(strides: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="1 <= smallest <= largest"):
        ClipSampler(strides=strides)
    with pytest.raises(ValueError, match="at least one frame"):
        ClipSampler(frames=0)
    with pytest.raises(ValueError, match="got 0 frames"):
        ClipSampler().indices(0, rng(0))
