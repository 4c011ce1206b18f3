"""Fisheye cameras by the unified (MEI) model, looked at as 90-degree pinholes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from gen3r.data.converting.raw import PinholeView, RawCamera, UnusableScene

_NARROWER = 0.97


@dataclass(frozen=True, kw_only=True)
class MeiLens:
    """A sphere seen from ``xi`` behind its centre, then radial and tangential distortion, then ``gamma`` and centre.

    The ``intrinsics`` of the camera hold gamma1, gamma2, u0 and v0 (corner origin). Source of the model: C. Mei and
    P. Rives, "Single View Point Omnidirectional Camera Calibration from Planar Grids", 2007.
    """

    xi: float
    """Distance of the eye behind the centre of the unit sphere."""
    k1: float
    """Radial, of the squared radius."""
    k2: float
    """Radial, of its fourth power."""
    p1: float = 0.0
    """Tangential, along y."""
    p2: float = 0.0
    """Tangential, along x."""

    def view(self, camera: RawCamera) -> PinholeView:
        """A square view along the optical axis, 90 degrees wide or as far as the picture goes, as sharp as its middle.

        Raises:
            UnusableScene: if the picture does not surround its optical axis.
        """
        focal = float(np.sqrt(camera.intrinsics[0, 0] * camera.intrinsics[1, 1])) / (1 + self.xi)
        half = 1.0
        while not self._inside(camera, half):
            half *= _NARROWER
            if half < 0.1:
                raise UnusableScene("its fisheye calibration does not fit the size of its pictures.")
        side = max(2, 2 * int(focal * half))
        focal = side / (2 * half)
        intrinsics = np.array([[focal, 0.0, side / 2], [0.0, focal, side / 2], [0.0, 0.0, 1.0]])
        return PinholeView(intrinsics=intrinsics, height=side, width=side, view_from_camera=np.eye(3))

    def pixels(self, camera: RawCamera, view: PinholeView) -> Float32[np.ndarray, "two H W"]:
        """Where the pixels of ``view`` are in the fisheye picture."""
        y, x = np.mgrid[0 : view.height, 0 : view.width] + 0.5
        rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(view.intrinsics).T @ view.view_from_camera
        return np.moveaxis(self._project(camera, rays), -1, 0).astype(np.float32)

    def _project(self, camera: RawCamera, rays: Float64[np.ndarray, "*shape 3"]) -> Float64[np.ndarray, "*shape 2"]:
        unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        x, y = np.moveaxis(unit[..., :2] / (unit[..., 2:] + self.xi), -1, 0)
        square = x * x + y * y
        radial = 1 + self.k1 * square + self.k2 * square**2
        bent_x = x * radial + 2 * self.p1 * x * y + self.p2 * (square + 2 * x * x)
        bent_y = y * radial + self.p1 * (square + 2 * y * y) + 2 * self.p2 * x * y
        bent = np.stack([bent_x, bent_y, np.ones_like(bent_x)], axis=-1)
        return (bent @ camera.intrinsics.T)[..., :2]

    def _inside(self, camera: RawCamera, half: float) -> bool:
        """Whether the border of a view that reaches ``half`` the distance to each side is in the picture."""
        along = np.linspace(-half, half, 65)
        edge = np.full_like(along, half)
        border = np.concatenate(
            [np.stack([a, b], -1) for a, b in ((along, edge), (along, -edge), (edge, along), (-edge, along))]
        )
        pixels = self._project(camera, np.concatenate([border, np.ones_like(border[:, :1])], axis=-1))
        return bool(((pixels >= 0.5) & (pixels <= np.array([camera.width, camera.height]) - 0.5)).all())


@dataclass(frozen=True, kw_only=True)
class SquareWindow:
    """A square cut out of the full height of a wide pinhole picture; pixels are kept as they are."""

    left: int
    """First column."""

    def view(self, camera: RawCamera) -> PinholeView:
        """The pinhole camera of the window."""
        intrinsics = camera.intrinsics.copy()
        intrinsics[0, 2] -= self.left
        return PinholeView(intrinsics=intrinsics, height=camera.height, width=camera.height, view_from_camera=np.eye(3))

    def pixels(self, camera: RawCamera, view: PinholeView) -> Float32[np.ndarray, "two H W"]:
        """Where the window's pixels are in the whole picture."""
        y, x = np.mgrid[0 : view.height, 0 : view.width] + 0.5
        return np.stack([x + self.left, y]).astype(np.float32)
