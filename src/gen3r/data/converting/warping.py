"""Pictures, depth and masks of a camera with a lens, or too large ones, become those of a pinhole camera."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Shaped, UInt8

from gen3r.data.converting.lenses import opencv
from gen3r.data.converting.raw import Lens, PinholeView, RawCamera, UnusableScene

_BORDER = 0.02
"""Part of the longer side by which a view may reach beyond the picture; there its border is repeated."""
_KEPT = 4
"""Warps held at a time: each has maps of 8 bytes per pixel."""
_STILL = 1e-3
"""A lens that moves no pixel by more (in pixels) is none."""


class Warp:
    """What is done to all frames of one camera.

    Args:
        camera: as on disk; its pose does not matter.
        max_side: largest accepted side in pixels; None: any.

    Raises:
        UnusableScene: for a lens that folds the picture or sees what is not in it.
    """

    def __init__(self, camera: RawCamera, max_side: int | None = None) -> None:
        self._camera = camera
        self._lens, full = _without_idle_lens(camera)
        self._full = full
        self.view = _made_smaller(full, max_side)
        if self._lens is not None:
            _check_lens(camera, self._full_pixels)

    @property
    def is_idle(self) -> bool:
        """Whether pictures are kept as they are."""
        return self._lens is None and self._resized is False

    @property
    def _resized(self) -> bool:
        return (self.view.height, self.view.width) != (self._full.height, self._full.width)

    def pose(self, world_from_camera: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "4 4"]:
        """World-from-view of a frame."""
        turned = np.eye(4)
        turned[:3, :3] = self.view.view_from_camera.T
        return world_from_camera @ turned

    def picture(self, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The picture of the view: one cubic resampling through the lens, then averages over areas."""
        if self._lens is not None:
            x, y = self._full_pixels - np.float32(0.5)  # OpenCV counts from the centre of the first pixel
            rgb = opencv().remap(rgb, x, y, opencv().INTER_CUBIC, borderMode=opencv().BORDER_REPLICATE)
        if self._resized:
            rgb = opencv().resize(rgb, (self.view.width, self.view.height), interpolation=opencv().INTER_AREA)
        return np.asarray(rgb)

    def mask(self, mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "H W"]:
        """The mask of the view, each pixel that of the nearest one on disk; any size of the picture's shape."""
        return self._nearest(mask)

    def depth(self, depth: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "H W"]:
        """z-depth along the view's axis, nearest as masks are; what is not finite or negative becomes 0."""
        sound = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))
        seen = self._nearest(sound)
        if np.array_equal(self.view.view_from_camera, np.eye(3)):
            return seen
        return (seen / self._axial_share).astype(np.float32)

    @cached_property
    def _axial_share(self) -> Float32[np.ndarray, "H W"]:
        """How deep in the camera the point is that a pixel of the view sees at depth 1; infinite behind the camera."""
        pixels = np.concatenate([unit_pixels(self.view.height, self.view.width), np.ones((1, *self._shape))])
        rays = np.tensordot(self.view.view_from_camera.T @ np.linalg.inv(self.view.intrinsics), pixels, axes=1)
        return np.where(rays[2] > 0, rays[2], np.inf).astype(np.float32)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.view.height, self.view.width

    def _nearest(self, values: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "H W"]:
        height, width = values.shape
        if self.is_idle and (height, width) == self._shape:
            return values
        scale_x, scale_y = width / self._camera.width, height / self._camera.height
        if abs(scale_x / scale_y - 1) > 0.05:
            raise ValueError(
                f"expected the shape of the picture, {self._camera.height}x{self._camera.width} pixels, "
                f"got {height}x{width}."
            )
        x, y = self._pixels
        columns = np.floor(x * scale_x).astype(np.int64).clip(0, width - 1)
        rows = np.floor(y * scale_y).astype(np.int64).clip(0, height - 1)
        return values[rows, columns]

    @cached_property
    def _full_pixels(self) -> Float32[np.ndarray, "two H W"]:
        assert self._lens is not None
        return self._lens.pixels(self._camera, self._full)

    @cached_property
    def _pixels(self) -> Float32[np.ndarray, "two H W"]:
        """Where every pixel of the view is in the picture on disk."""
        if self._lens is not None:
            return self._lens.pixels(self._camera, self.view)
        scale = np.array([self._camera.width / self.view.width, self._camera.height / self.view.height])
        return (unit_pixels(*self._shape) * scale[:, None, None]).astype(np.float32)


class Warps:
    """The warps of a scene's cameras; frames with equal lenses and intrinsics share one. The latest few are kept."""

    def __init__(self, max_side: int | None) -> None:
        self._max_side = max_side
        self._known: dict[object, Warp] = {}

    def of(self, camera: RawCamera) -> Warp:
        """The warp of a camera. Lenses are compared by value: they must be hashable."""
        key = (camera.lens, camera.intrinsics.tobytes(), camera.height, camera.width)
        if key not in self._known:
            while len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = Warp(camera, self._max_side)
        return self._known[key]


def unit_pixels(height: int, width: int) -> Float64[np.ndarray, "two H W"]:
    """x and y of every pixel centre, corner origin."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    return np.stack([x, y])


def _without_idle_lens(camera: RawCamera) -> tuple[Lens | None, PinholeView]:
    """The lens, unless it moves no pixel, and the view at full size."""
    own = PinholeView(
        intrinsics=camera.intrinsics, height=camera.height, width=camera.width, view_from_camera=np.eye(3)
    )
    if camera.lens is None:
        return None, own
    view = camera.lens.view(camera)
    if not np.isfinite(view.intrinsics).all():
        raise UnusableScene("its lens has no pinhole view.")
    same = (view.height, view.width) == (own.height, own.width)
    if same and np.allclose(view.intrinsics, own.intrinsics) and np.allclose(view.view_from_camera, np.eye(3)):
        moved = np.abs(camera.lens.pixels(camera, view) - unit_pixels(own.height, own.width)).max()
        if moved < _STILL:
            return None, own
    return camera.lens, view


def _check_lens(camera: RawCamera, pixels: Float32[np.ndarray, "two H W"]) -> None:
    """Raise `UnusableScene` for a map that is not one to one, or reaches far beyond the picture."""
    grid = pixels[:, :: max(1, pixels.shape[1] // 64), :: max(1, pixels.shape[2] // 64)].astype(np.float64)
    across, down = np.diff(grid, axis=2)[:, :-1], np.diff(grid, axis=1)[:, :, :-1]
    turns = across[0] * down[1] - across[1] * down[0]
    size = np.array([camera.width, camera.height])
    beyond = np.maximum(-grid.min((1, 2)), grid.max((1, 2)) - size).max()
    if not np.isfinite(grid).all() or (turns <= 0).any() or beyond > _BORDER * size.max():
        raise UnusableScene(
            "its distortion coefficients fold the picture or reach beyond it: they do not belong to these pictures."
        )


def _made_smaller(view: PinholeView, max_side: int | None) -> PinholeView:
    longer = max(view.height, view.width)
    if max_side is None or longer <= max_side:
        return view
    height, width = (max(1, round(side * max_side / longer)) for side in (view.height, view.width))
    scale = np.diag([width / view.width, height / view.height, 1.0])
    return PinholeView(
        intrinsics=scale @ view.intrinsics, height=height, width=width, view_from_camera=view.view_from_camera
    )
