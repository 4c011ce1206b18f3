"""Cameras of COLMAP models, whatever their lens (https://colmap.github.io/cameras.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pycolmap
from jaxtyping import Float32

from gen3r.data.converting.lenses import FisheyeLens, OpenCVLens
from gen3r.data.converting.raw import Lens, PinholeView, RawCamera, UnusableScene

Coefficients = Sequence[float]

_ASPECT_TOLERANCE = 0.01
"""By how much a scaled picture may differ in shape from the one that was posed: its sides are whole pixels."""


def _radial(k: Coefficients) -> OpenCVLens:
    return OpenCVLens((k[0], k[1] if len(k) > 1 else 0.0, 0.0, 0.0))


def _brown(k: Coefficients) -> OpenCVLens:
    return OpenCVLens(tuple(k))


def _fisheye(k: Coefficients) -> FisheyeLens:
    return FisheyeLens((*k, 0.0, 0.0, 0.0, 0.0)[:4])


OPENCV_LENSES: Mapping[str, Callable[[Coefficients], Lens]] = {
    "SIMPLE_RADIAL": _radial,
    "RADIAL": _radial,
    "OPENCV": _brown,
    "FULL_OPENCV": _brown,
    "SIMPLE_FISHEYE": _fisheye,
    "FISHEYE": _fisheye,
    "SIMPLE_RADIAL_FISHEYE": _fisheye,
    "RADIAL_FISHEYE": _fisheye,
    "OPENCV_FISHEYE": _fisheye,
}
"""Models that OpenCV has too, from what they hold besides focal lengths and principal point; COLMAP does the others."""


@dataclass(frozen=True, eq=False)
class ColmapLens:
    """Any other perspective model, by COLMAP's own functions."""

    camera: pycolmap.Camera
    """With its parameters."""

    def view(self, camera: RawCamera) -> PinholeView:
        """The pinhole camera that COLMAP undistorts to without blank pixels."""
        pinhole = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), self.camera)
        return PinholeView(
            intrinsics=pinhole.calibration_matrix(),
            height=pinhole.height,
            width=pinhole.width,
            view_from_camera=np.eye(3),
        )

    def pixels(self, camera: RawCamera, view: PinholeView) -> Float32[np.ndarray, "two H W"]:
        """Where the pixels of ``view`` are in the distorted picture."""
        x, y = np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5)
        pixels = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
        rays = pixels @ (view.view_from_camera.T @ np.linalg.inv(view.intrinsics)).T
        seen = np.asarray(self.camera.img_from_cam(rays))
        return np.ascontiguousarray(seen.T.reshape(2, view.height, view.width), dtype=np.float32)


def raw_camera(
    camera: pycolmap.Camera, camera_from_world: pycolmap.Rigid3d, size: tuple[int, int] | None = None
) -> RawCamera:
    """The camera of one registered image.

    Args:
        camera: of the model.
        camera_from_world: its pose.
        size: (height, width) of the picture on disk, which may be a smaller or larger copy of the one that was posed;
            left out, the camera's own.

    Raises:
        UnusableScene: for a picture of another shape, and a camera that sees all around.
    """
    if not camera.is_perspective():
        raise UnusableScene(f"its camera model {camera.model.name} has no image plane; cut perspective pictures first.")
    camera = _scaled(camera, *(size or (camera.height, camera.width)))
    world_from_camera = np.eye(4)
    world_from_camera[:3] = camera_from_world.inverse().matrix()
    return RawCamera(
        intrinsics=camera.calibration_matrix(),
        world_from_camera=world_from_camera,
        height=camera.height,
        width=camera.width,
        lens=lens_of(camera),
    )


def lens_of(camera: pycolmap.Camera) -> Lens | None:
    """How a camera distorts; None for a pinhole."""
    if camera.is_perspective_pinhole() and camera.is_undistorted():
        return None
    coefficients = [float(camera.params[index]) for index in camera.extra_params_idxs()]
    make = OPENCV_LENSES.get(camera.model.name)
    return ColmapLens(camera) if make is None else make(coefficients)


def _scaled(camera: pycolmap.Camera, height: int, width: int) -> pycolmap.Camera:
    if (height, width) == (camera.height, camera.width):
        return camera
    if abs(width * camera.height - height * camera.width) > _ASPECT_TOLERANCE * width * camera.height:
        raise UnusableScene(
            f"its pictures are {height}x{width}, but the cameras are for {camera.height}x{camera.width} (HxW); both "
            "must show the same, at any resolution."
        )
    scaled = pycolmap.Camera(camera.todict())
    scaled.rescale(width, height)
    return scaled
