"""Lenses and sizes: dots, depth and masks end where the pinhole camera of the clip says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32

from data.converters.fixture import DrawnScene, check_converted, make_scene
from data.converting.known import convert, raw_scene
from gen3r.data.converting.lenses import FisheyeLens, OpenCVLens
from gen3r.data.converting.raw import Lens, PinholeView, RawCamera, UnusableScene
from gen3r.data.converting.warping import Warp, unit_pixels
from gen3r.data.schema import StoredClip

SCENE = make_scene(frames=4, width=96, height=64)
LENSES: dict[str, Lens] = {
    "barrel": OpenCVLens((-0.12, 0.02, 0.001, -0.002)),
    "pincushion": OpenCVLens((0.08, 0.0, 0.0, 0.0, 0.01)),
    "rational": OpenCVLens((0.1, 0.05, 0.0, 0.001, 0.01, 0.15, 0.02, 0.0)),
    "fisheye": FisheyeLens((0.02, -0.01, 0.0, 0.0)),
}


def bent(scene: DrawnScene, lens: Lens, frame: int) -> np.ndarray:
    """Where the lens puts the dots, by the formulas of OpenCV's manual."""
    points = scene.camera_points(frame)
    x, y = (points[:, :2] / points[:, 2:]).T
    if isinstance(lens, FisheyeLens):
        radius = np.hypot(x, y)
        angle = np.arctan(radius)
        bend = angle * (1 + sum(k * angle ** (2 * i + 2) for i, k in enumerate(lens.coefficients))) / radius
        x, y = x * bend, y * bend
    else:
        assert isinstance(lens, OpenCVLens)
        k1, k2, p1, p2, k3, k4, k5, k6 = (*lens.coefficients, *[0.0] * (8 - len(lens.coefficients)))
        r = x * x + y * y
        radial = (1 + k1 * r + k2 * r**2 + k3 * r**3) / (1 + k4 * r + k5 * r**2 + k6 * r**3)
        x, y = (
            x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x),
            y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y,
        )
    return np.stack([x, y, np.ones_like(x)], axis=1) @ scene.intrinsics[:2].T


@pytest.mark.parametrize("name", LENSES)
@pytest.mark.parametrize("max_side", [None, 80])
def test_dots_and_depth_are_where_the_pinhole_says(tmp_path: Path, name: str, max_side: int | None) -> None:
    lens = LENSES[name]
    scene = raw_scene(SCENE, lens=lens, pixels=lambda frame: bent(SCENE, lens, frame))
    convert(scene, tmp_path, max_side=max_side)
    check_converted(tmp_path / "one", SCENE, scale_free=False, pixel_tolerance=0.45, depth_tolerance=0.02)


def test_the_lens_matters(tmp_path: Path) -> None:
    lens = LENSES["barrel"]
    convert(raw_scene(SCENE, pixels=lambda frame: bent(SCENE, lens, frame)), tmp_path)
    with pytest.raises(AssertionError, match="dot"):
        check_converted(tmp_path / "one", SCENE, scale_free=False)


@pytest.mark.parametrize("name", LENSES)
def test_views_have_no_black_border(name: str) -> None:
    camera = RawCamera(intrinsics=SCENE.intrinsics, world_from_camera=np.eye(4), height=64, width=96)
    lens = LENSES[name]
    view = lens.view(camera)
    assert view.intrinsics[0, 0] == pytest.approx(view.intrinsics[1, 1])  # things keep their shape
    x, y = lens.pixels(camera, view)
    assert -0.5 < x.min() < x.max() < 96.5
    assert -0.5 < y.min() < y.max() < 64.5


def test_a_lens_that_bends_nothing_keeps_the_pictures(tmp_path: Path) -> None:
    plain, idle = raw_scene(SCENE), raw_scene(SCENE, lens=OpenCVLens((0.0, 0.0, 0.0, 0.0)))
    convert(plain, tmp_path / "plain")
    convert(idle, tmp_path / "idle")
    for name in ("frames/frame00003.png", "cameras.json", "depth/frame00003.png"):
        assert (tmp_path / "idle/one" / name).read_bytes() == (tmp_path / "plain/one" / name).read_bytes()


@pytest.mark.parametrize("k1", [-40.0, -5.0, -1.0, 50.0])
def test_coefficients_that_fold_the_picture_make_it_unusable(tmp_path: Path, k1: float) -> None:
    with pytest.raises(UnusableScene, match="distortion coefficients"):
        convert(raw_scene(SCENE, lens=OpenCVLens((k1, 0.0, 0.0, 0.0))), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_no_coefficients_are_refused() -> None:
    with pytest.raises(ValueError, match="4 or 5 or 8 finite distortion coefficients"):
        OpenCVLens((0.1, 0.2))


def test_smaller_pictures_average_and_keep_their_cameras(tmp_path: Path) -> None:
    convert(raw_scene(SCENE), tmp_path, max_side=72)
    check_converted(tmp_path / "one", SCENE, scale_free=False, depth_tolerance=0.02)
    record = StoredClip.open(tmp_path / "one").record
    assert (record.height, record.width) == (48, 72)
    camera = RawCamera(intrinsics=SCENE.intrinsics, world_from_camera=np.eye(4), height=4, width=8)
    halves = np.zeros((4, 8, 3), np.uint8)
    halves[::2] = 200
    assert (Warp(camera, 4).picture(halves) == 100).all()


def test_depth_may_be_smaller_than_the_picture_but_not_of_another_shape() -> None:
    camera = RawCamera(intrinsics=SCENE.intrinsics, world_from_camera=np.eye(4), height=4, width=8)
    depth = np.arange(1, 9, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(Warp(camera).depth(depth), depth.repeat(2, 0).repeat(2, 1))
    broken = np.array([[np.nan, -1], [np.inf, 2]], np.float32).repeat(2, 0).repeat(4, 1)
    np.testing.assert_array_equal(np.unique(Warp(camera).depth(broken)), [0, 2])
    with pytest.raises(ValueError, match="the shape of the picture, 4x8 pixels, got 4x4"):
        Warp(camera).depth(np.ones((4, 4), np.float32))


@dataclass(frozen=True)
class SideView:
    """Looks 20 degrees to the right of a pinhole camera."""

    def view(self, camera: RawCamera) -> PinholeView:
        angle = np.radians(20)
        turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
        narrow = np.array([[76.0, 0, 12], [0, 76, 12], [0, 0, 1]])
        return PinholeView(intrinsics=narrow, height=24, width=24, view_from_camera=turn)

    def pixels(self, camera: RawCamera, view: PinholeView) -> Float32[np.ndarray, "two H W"]:
        rays = np.concatenate([unit_pixels(view.height, view.width), np.ones((1, view.height, view.width))])
        back = camera.intrinsics @ view.view_from_camera.T @ np.linalg.inv(view.intrinsics)
        x, y, z = np.tensordot(back, rays, axes=1)
        return np.stack([x / z, y / z]).astype(np.float32)


def test_depth_of_a_view_that_looks_elsewhere_is_along_its_own_axis() -> None:
    camera = RawCamera(intrinsics=SCENE.intrinsics, world_from_camera=np.eye(4), height=64, width=96)
    warp = Warp(RawCamera(**{**vars(camera), "lens": SideView()}))
    seen = warp.depth(np.full((64, 96), 5.0, np.float32))  # a wall across the camera's axis
    rays = np.concatenate([unit_pixels(24, 24), np.ones((1, 24, 24))])
    points = np.tensordot(np.linalg.inv(warp.view.intrinsics), rays, axes=1) * seen
    in_camera = np.tensordot(warp.pose(np.eye(4))[:3, :3], points, axes=1)
    np.testing.assert_allclose(in_camera[2], 5.0, rtol=1e-5)
