"""Lenses by OpenCV's two models, and the pinhole views their pictures are warped to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from gen3r.data.converting.raw import PinholeView, RawCamera, UnusableScene
from gen3r.extras import Extra

UNDISTORTING = Extra(name="data", modules=("cv2",))
_HALF = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
"""From OpenCV's pixels, whose centres are whole numbers, to ours."""


@dataclass(frozen=True)
class OpenCVLens:
    """Polynomial and tangential distortion: ``cv2.undistort``'s model, COLMAP's OPENCV and FULL_OPENCV.

    All coefficients 0 make a pinhole, whose pictures are kept untouched.
    """

    coefficients: tuple[float, ...]
    """k1 k2 p1 p2 [k3 [k4 k5 k6]], in this order."""

    def __post_init__(self) -> None:
        _check(self.coefficients, (4, 5, 8))

    def view(self, camera: RawCamera) -> PinholeView:
        """The largest pinhole view of the same size and shape of pixels that has no black border."""
        if not any(self.coefficients):
            return _same(camera)
        size = (camera.width, camera.height)
        intrinsics, _ = opencv().getOptimalNewCameraMatrix(
            camera.intrinsics - _HALF, np.array(self.coefficients), size, alpha=0
        )
        return _view(camera, _with_pixels_of(camera, np.asarray(intrinsics, dtype=np.float64) + _HALF))

    def pixels(self, camera: RawCamera, view: PinholeView) -> Float32[np.ndarray, "two H W"]:
        """Where the pixels of ``view`` are in the distorted picture."""
        return _maps(opencv().initUndistortRectifyMap, self.coefficients, camera, view)


@dataclass(frozen=True)
class FisheyeLens:
    """The equidistant lens of ``cv2.fisheye``, COLMAP's OPENCV_FISHEYE: the angle grows with the radius.

    All coefficients 0 still make a fisheye: there is always something to straighten.
    """

    coefficients: tuple[float, ...]
    """k1 k2 k3 k4."""

    def __post_init__(self) -> None:
        _check(self.coefficients, (4,))

    def view(self, camera: RawCamera) -> PinholeView:
        """The largest pinhole view of the same size that has no black border."""
        intrinsics = opencv().fisheye.estimateNewCameraMatrixForUndistortRectify(
            camera.intrinsics - _HALF,
            np.array(self.coefficients),
            (camera.width, camera.height),
            np.eye(3),
            balance=0.0,
        )
        return _view(camera, np.asarray(intrinsics, dtype=np.float64) + _HALF)

    def pixels(self, camera: RawCamera, view: PinholeView) -> Float32[np.ndarray, "two H W"]:
        """Where the pixels of ``view`` are in the distorted picture."""
        return _maps(opencv().fisheye.initUndistortRectifyMap, self.coefficients, camera, view)


def opencv() -> Any:
    """OpenCV, imported when it is first needed.

    Raises:
        ValueError: if it is not installed.
    """
    UNDISTORTING.require("undistorting or resizing pictures")
    import cv2

    return cv2


def _check(coefficients: tuple[float, ...], counts: tuple[int, ...]) -> None:
    if len(coefficients) not in counts or not np.isfinite(coefficients).all():
        allowed = " or ".join(map(str, counts))
        raise ValueError(f"expected {allowed} finite distortion coefficients, got {coefficients}.")


def _same(camera: RawCamera) -> PinholeView:
    return PinholeView(
        intrinsics=camera.intrinsics, height=camera.height, width=camera.width, view_from_camera=np.eye(3)
    )


def _with_pixels_of(camera: RawCamera, intrinsics: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3 3"]:
    """OpenCV stretches what can be seen to the size; pixels as wide and high as before see the middle of that."""
    before, stretched = np.diagonal(camera.intrinsics)[:2], np.diagonal(intrinsics)[:2]
    focal = before * (stretched / before).max()
    middle = np.array([camera.width, camera.height]) / 2
    center = middle - focal * (middle - intrinsics[:2, 2]) / stretched
    return np.array([[focal[0], 0, center[0]], [0, focal[1], center[1]], [0, 0, 1]])


def _view(camera: RawCamera, intrinsics: Float64[np.ndarray, "3 3"]) -> PinholeView:
    """The view, if a picture could have been taken with it."""
    zoom = np.diagonal(intrinsics)[:2] / np.diagonal(camera.intrinsics)[:2]
    if not np.isfinite(intrinsics).all() or not ((zoom > 0.1) & (zoom < 10)).all():
        raise UnusableScene("its distortion coefficients leave no pinhole view without black borders.")
    return PinholeView(intrinsics=intrinsics, height=camera.height, width=camera.width, view_from_camera=np.eye(3))


def _maps(
    function: Any, coefficients: tuple[float, ...], camera: RawCamera, view: PinholeView
) -> Float32[np.ndarray, "two H W"]:
    x, y = function(
        camera.intrinsics - _HALF,
        np.array(coefficients),
        view.view_from_camera,
        view.intrinsics - _HALF,
        (view.width, view.height),
        opencv().CV_32FC1,
    )
    return np.stack([x, y]) + np.float32(0.5)
