"""Views, masks and the fold in time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gen3r.conditioning.masks import mask_channels
from gen3r.conditioning.temporal import fold_frames
from gen3r.conditioning.views import ViewSampler, control_video, official_view_frames, place_views
from gen3r.latents.joint import split

FRAMES = st.integers(0, 4).map(lambda k: 4 * k + 1)


@given(frames=FRAMES, channels=st.integers(1, 3))
def test_fold_keeps_every_frame_in_its_slot(frames: int, channels: int) -> None:
    values = torch.arange(2.0 * frames * channels).reshape(2, frames, channels, 1, 1)
    folded = fold_frames(values)
    assert folded.shape == (2, 4 * channels, (frames + 3) // 4, 1, 1)
    for frame in range(frames):
        latent, slot = (frame + 3) // 4, (frame + 3) % 4
        for channel in range(channels):
            assert torch.equal(folded[:, 4 * channel + slot, latent], values[:, frame, channel])
    first = folded[:, :, 0].unflatten(1, (channels, 4))
    assert torch.equal(first, values[:, 0, :, None].expand_as(first))


@given(bits=st.lists(st.booleans(), min_size=9, max_size=9))
def test_mask_tells_which_frames_are_given(bits: list[bool]) -> None:
    known, unknown = split(mask_channels(torch.tensor([bits]), (2, 3)))
    assert known.shape == (1, 4, 3, 2, 3)
    assert not unknown.any()
    assert torch.equal(known[0, :, 0, 0, 0], torch.full((4,), float(bits[0])))
    assert known[0, :, 1:, 1, 2].T.flatten().tolist() == [float(bit) for bit in bits[1:]]


@given(at=st.lists(st.integers(0, 8), unique=True, max_size=9))
def test_placed_views_are_the_given_frames(at: list[int]) -> None:
    views = torch.rand(len(at), 3, 2, 2) + 0.1
    video, shown = place_views(views, at, 9)
    assert shown.nonzero().flatten().tolist() == sorted(at)
    for view, index in zip(views, at, strict=True):
        assert torch.equal(video[index], view)
    assert not video[~shown].any()
    assert torch.equal(control_video(video[None], shown[None])[0], video)


@pytest.mark.parametrize("at", [[9], [-1], [0, 0], [0, 1, 2]])
def test_bad_indices_are_refused(at: list[int]) -> None:
    with pytest.raises(ValueError, match=r"within 0\.\.8|one frame index per view"):
        place_views(torch.rand(2 if len(at) != 1 else 1, 3, 2, 2), at, 9)


def test_official_places() -> None:
    assert [official_view_frames(views, 5) for views in (0, 1, 2, 5)] == [[], [0], [0, 4], [0, 1, 2, 3, 4]]
    assert official_view_frames(1, 1) == [0]
    for views, frames in ((3, 5), (6, 5), (2, 1)):
        with pytest.raises(ValueError, match="no default place"):
            official_view_frames(views, frames)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        ("first", lambda shown: shown.sum() == 1 and shown[0]),
        ("ends", lambda shown: shown.sum() == 2 and shown[0] and shown[-1]),
        ("everything", lambda shown: shown.all()),
        ("anything", lambda shown: shown.any()),
        ("nothing", lambda shown: not shown.any()),
    ],
)
def test_view_kinds(kind: str, test) -> None:
    weights = dict.fromkeys(("first", "ends", "everything", "anything", "nothing"), 0.0) | {kind: 1.0}
    for shown in ViewSampler(**weights).sample(20, 9):
        assert test(shown)


def test_any_subset_comes_up_and_each_sample_draws_its_own() -> None:
    sampler = ViewSampler(first=0.0, ends=0.0, everything=0.0, anything=1.0)
    shown = sampler.sample(4000, 9, torch.Generator().manual_seed(0))
    sizes: Tensor = shown.sum(dim=1)
    counts = torch.bincount(sizes, minlength=10)[1:]
    assert ((counts - 4000 / 9).abs() < 100).all()
    assert (shown.float().mean(dim=0) - 5 / 9).abs().max() < 0.04
    again = sampler.sample(4000, 9, torch.Generator().manual_seed(0))
    assert torch.equal(shown, again)


def test_official_thirds() -> None:
    sizes = ViewSampler().sample(3000, 9, torch.Generator().manual_seed(0)).sum(dim=1)
    for size in (1, 2, 9):
        assert abs(float((sizes == size).float().mean()) - 1 / 3) < 0.04


def test_bad_weights_and_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        ViewSampler(first=0.0, ends=0.0, everything=0.0)
    with pytest.raises(ValueError, match="4k"):
        fold_frames(torch.zeros(1, 6, 1))
