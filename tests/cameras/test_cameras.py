"""`Cameras` as a value: indexing, resizing, cropping, rebasing, validation."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from cameras.strategies import cameras, points_in_front, seeds
from gen3r.cameras import Cameras, project
from gen3r.cameras.cameras import cover_size, pinhole

sizes = st.integers(1, 40)


def make_cameras(frames: int = 3) -> Cameras:
    return Cameras.from_fov(torch.eye(4).repeat(frames, 1, 1), 1.0, 40, 60)


def test_indexing_works_on_batch_axes() -> None:
    given_cameras = make_cameras()
    assert given_cameras[0].shape == ()
    assert given_cameras[1:].shape == (2,)
    assert given_cameras[[0, 2, 1, 1]].shape == (4,)
    assert given_cameras[torch.tensor([True, False, True])].shape == (2,)
    assert given_cameras[None, :, None].shape == (1, 3, 1)
    assert Cameras.stack([given_cameras, given_cameras])[..., 0].intrinsics.shape == (2, 3, 3)
    assert len(given_cameras) == 3
    with pytest.raises(IndexError):
        given_cameras[0, 0]
    with pytest.raises(TypeError, match="single camera"):
        len(given_cameras[0])


def test_cameras_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        make_cameras().height = 3  # type: ignore[misc]


def test_stack_needs_one_image_size() -> None:
    with pytest.raises(ValueError, match=r"share one image size.*\(20, 30\), \(40, 60\)"):
        Cameras.stack([make_cameras(), make_cameras().resize(20, 30)])


def test_field_of_view() -> None:
    both = Cameras.from_fov(torch.eye(4)[None], 0.8, 30, 50, fov_x=1.3)
    torch.testing.assert_close(both.fov, torch.tensor([[0.8, 1.3]]))
    square = Cameras.from_fov(torch.eye(4)[None], torch.tensor([0.8]), 30, 50)
    assert square.intrinsics[0, 0, 0] == square.intrinsics[0, 1, 1]


@given(cameras(), seeds, sizes, sizes)
def test_resize_commutes_with_projection(of: Cameras, seed: int, height: int, width: int) -> None:
    points = points_in_front(of, seed)
    pixels, depth = project(points, of)
    resized, same_depth = project(points, of.resize(height, width))
    torch.testing.assert_close(resized, pixels * pixels.new_tensor([width / of.width, height / of.height]))
    torch.testing.assert_close(same_depth, depth)


@given(cameras(), seeds, st.integers(-5, 5), st.integers(-5, 5), sizes, sizes)
def test_crop_commutes_with_projection(of: Cameras, seed: int, top: int, left: int, height: int, width: int) -> None:
    points = points_in_front(of, seed)
    cropped, _ = project(points, of.crop(top, left, height, width))
    torch.testing.assert_close(cropped, project(points, of)[0] - torch.tensor([left, top]))


@given(cameras(), sizes, sizes)
def test_cover_crop_is_resize_then_centre_crop(of: Cameras, height: int, width: int) -> None:
    covering = cover_size(of.height, of.width, height, width)
    assert covering[0] >= height
    assert covering[1] >= width
    assert covering[0] == height or covering[1] == width
    result = of.cover_crop(height, width)
    assert (result.height, result.width) == (height, width)
    torch.testing.assert_close(result.fov.isfinite(), torch.ones(2, 2, dtype=torch.bool))


def test_intrinsics_follow_the_pixels_of_a_resized_image() -> None:
    """A bright spot seen through `interpolate` lands where the resized cameras project it."""
    camera = Cameras.from_fov(torch.eye(4)[None], 1.0, 64, 64)
    rows, columns = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    ramp = torch.stack([columns, rows])  # each pixel holds its own place
    resized = interpolate(ramp[None], (48, 48), mode="bilinear", antialias=True, align_corners=False)[0]
    point = torch.tensor([[[0.2, -0.1, 1.0]]])
    (x, y), (small_x, small_y) = project(point, camera)[0][0, 0], project(point, camera.resize(48, 48))[0][0, 0]
    grid = torch.tensor([small_x, small_y]) / 48 * 2 - 1
    sampled = torch.nn.functional.grid_sample(resized[None], grid.view(1, 1, 1, 2), align_corners=False).flatten()
    torch.testing.assert_close(sampled, torch.stack([x, y]), atol=0.02, rtol=0)  # centres at integers: 0.17


@given(cameras(3), st.integers(0, 2))
def test_rebasing_keeps_what_cameras_see_of_each_other(of: Cameras, frame: int) -> None:
    rebased = of.rebased(frame)
    assert torch.equal(rebased.extrinsics[frame], torch.eye(4, dtype=torch.float64))
    before = of.extrinsics[0] @ of.world_from_camera[2]
    torch.testing.assert_close(rebased.extrinsics[0] @ rebased.world_from_camera[2], before, atol=1e-9, rtol=1e-9)


def test_a_single_camera_has_no_frame_to_rebase_on() -> None:
    with pytest.raises(ValueError, match="frame axis"):
        make_cameras()[0].rebased()


@given(cameras(), seeds, st.floats(0.1, 10.0))
def test_scaling_cameras_and_points_keeps_pixels(of: Cameras, seed: int, scale: float) -> None:
    points = points_in_front(of, seed)
    pixels, depth = project(points, of)
    scaled_pixels, scaled_depth = project(points * scale, of.scaled(scale))
    torch.testing.assert_close(scaled_pixels, pixels, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(scaled_depth, depth * scale)
    per_camera = of.scaled(torch.tensor([1.0, scale], dtype=torch.float64))
    torch.testing.assert_close(per_camera.centers, of.centers * torch.tensor([[1.0], [scale]]).double())


@given(cameras())
def test_world_from_camera_round_trip(of: Cameras) -> None:
    again = Cameras.from_world_from_camera(of.world_from_camera, of.intrinsics, of.height, of.width)
    torch.testing.assert_close(again.extrinsics, of.extrinsics)
    torch.testing.assert_close(again.centers, -(of.extrinsics[:, :3, :3].mT @ of.extrinsics[:, :3, 3:])[..., 0])


def test_to_changes_type_and_device() -> None:
    moved = make_cameras().to("meta", torch.float64)
    assert moved.device.type == "meta"
    assert moved.extrinsics.dtype == moved.intrinsics.dtype == torch.float64


@given(cameras())
def test_good_cameras_are_valid(of: Cameras) -> None:
    assert of.validate() is of


BAD_EXTRINSICS = {
    "finite": torch.full((4, 4), torch.nan),
    "rotation": torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])),
    "determinant": torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0])),
    "last row": torch.eye(4).index_put((torch.tensor([3]), torch.tensor([0])), torch.tensor(1.0)),
}
BAD_INTRINSICS = {
    "finite": torch.full((3, 3), torch.inf),
    "positive": pinhole(torch.tensor(-5.0), torch.tensor(5.0), 1.0, 1.0),
    "skew": torch.tensor([[5.0, 1.0, 1.0], [0.0, 5.0, 1.0], [0.0, 0.0, 1.0]]),
}


@pytest.mark.parametrize(("message", "matrix"), BAD_EXTRINSICS.items(), ids=BAD_EXTRINSICS)
def test_bad_extrinsics_are_refused(message: str, matrix: torch.Tensor) -> None:
    good = make_cameras()
    bad = replace(good, extrinsics=torch.stack([good.extrinsics[0], matrix, good.extrinsics[2]]))
    with pytest.raises(ValueError, match=rf"{message}.*\(camera 1\)"):
        bad.validate()


@pytest.mark.parametrize(("message", "matrix"), BAD_INTRINSICS.items(), ids=BAD_INTRINSICS)
def test_bad_intrinsics_are_refused(message: str, matrix: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=message):
        replace(make_cameras()[0], intrinsics=matrix).validate()


def test_sizes_and_batches_are_checked() -> None:
    good = make_cameras()
    with pytest.raises(ValueError, match="must be positive, got 0x5"):
        good.resize(0, 5)
    with pytest.raises(ValueError, match="must be positive"):
        good.crop(0, 0, 5, -1)
