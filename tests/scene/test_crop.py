import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.cameras.cameras import Cameras
from gen3r.scene.crop import cover_crop

sides = st.integers(1, 60)


@given(sides, sides, sides, sides)
def test_pictures_and_cameras_agree(source_height, source_width, height, width):
    crop = cover_crop(source_height, source_width, height, width)
    assert crop.apply(torch.rand(3, source_height, source_width)).shape == (3, height, width)
    cameras = Cameras(torch.eye(4), torch.eye(3), source_height, source_width)
    cut = cameras.resize(crop.resized_height, crop.resized_width).crop(crop.top, crop.left, height, width)
    assert torch.equal(cut.intrinsics, cameras.cover_crop(height, width).intrinsics)


def test_content_moves_with_the_cameras():
    """The centre of a bright square is found where the moved intrinsics say."""
    picture = torch.zeros(3, 80, 120)
    picture[:, 30:50, 52:72] = 1.0  # centre at x = 62, y = 40
    crop = cover_crop(80, 120, 48, 40)
    seen = crop.apply(picture)[0]
    rows, columns = torch.arange(48) + 0.5, torch.arange(40) + 0.5
    x, y = (seen.sum(0) * columns).sum() / seen.sum(), (seen.sum(1) * rows).sum() / seen.sum()
    cameras = Cameras(torch.eye(4), torch.eye(3), 80, 120).cover_crop(48, 40)
    moved = cameras.intrinsics @ torch.tensor([62.0, 40.0, 1.0])
    torch.testing.assert_close(torch.stack([x, y]), moved[:2], atol=0.05, rtol=0)


def test_same_size_is_exact():
    picture = torch.rand(3, 7, 9)
    assert torch.equal(cover_crop(7, 9, 7, 9).apply(picture), picture)


def test_a_sliver_is_refused_rather_than_blown_up():
    with pytest.raises(ValueError, match="million pixels"):
        cover_crop(1, 60_000, 560, 560)


def test_another_picture_is_refused():
    with pytest.raises(ValueError, match="made for 8x9"):
        cover_crop(8, 9, 4, 4).apply(torch.rand(3, 9, 8))


@pytest.mark.parametrize("sizes", [(0, 4, 2, 2), (4, 4, 2, 0)])
def test_empty_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="at least 1 pixel"):
        cover_crop(*sizes)
