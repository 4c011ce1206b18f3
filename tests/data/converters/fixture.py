"""One known scene for every converter: ten coloured dots seen by a camera that moves and turns.

The writers of raw trees (raw_NAME.py) project the points by the formula of their dataset and draw the dots where it
says. They share no code with the converters, so that `check_converted` sees what a wrong convention does.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

DOTS = 10
RADIUS = 2.5
"""Half the side of a dot in pixels."""
ROOM = RADIUS + 1.5
"""Pixels around a dot's centre that must be free for it to be measured."""
COLOR_TOLERANCE = 40
"""Per channel, enough for JPEG at quality 90 without chroma subsampling."""


@dataclass(frozen=True, kw_only=True)
class DrawnScene:
    """What is true. Writers for rigs or for other poses make their own with ``dataclasses.replace``."""

    intrinsics: np.ndarray
    """[3,3] pixels, corner origin."""
    world_from_camera: np.ndarray
    """[F,4,4], OpenCV axes, metres; the first is the identity."""
    points: np.ndarray
    """[10,3] metres."""
    colors: np.ndarray
    """[10,3] uint8, saturated."""
    height: int
    width: int

    @property
    def frames(self) -> int:
        return len(self.world_from_camera)

    def camera_points(self, frame: int) -> np.ndarray:
        """The points in OpenCV axes of camera ``frame``, [10,3]; z is their depth."""
        pose = self.world_from_camera[frame]
        return (self.points - pose[:3, 3]) @ pose[:3, :3]

    def pixels(self, frame: int) -> np.ndarray:
        """Where a pinhole camera sees them, [10,2]: for datasets without a formula of their own."""
        seen = self.camera_points(frame) @ self.intrinsics.T
        return seen[:, :2] / seen[:, 2:]

    def draw(self, frame: int, pixels: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """The picture uint8 [H,W,3] with 5x5 dots around ``pixels`` [10,2] (corner origin), with soft borders.

        Later dots cover earlier ones; what is not finite or outside is left out. ``size`` is (height, width).
        """
        height, width = size or (self.height, self.width)
        picture = np.full((height, width, 3), 90.0 + 3 * (frame % 20))
        for (x, y), color in zip(pixels, self.colors, strict=True):
            if np.isfinite([x, y]).all():
                cover = (_cover(y, height)[:, None] * _cover(x, width))[..., None]
                picture = picture * (1 - cover) + color * cover
        return picture.round().astype(np.uint8)

    def draw_depth(self, pixels: np.ndarray, depths: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """z-depth float32 [H,W]: ``depths`` [10] on the 5x5 dots, 0 elsewhere."""
        height, width = size or (self.height, self.width)
        depth = np.zeros((height, width), np.float32)
        for (x, y), value in zip(pixels, depths, strict=True):
            if np.isfinite([x, y]).all():
                depth[(_cover(y, height)[:, None] * _cover(x, width)) > 0.2] = value
        return depth


def make_scene(
    frames: int = 8,
    width: int = 64,
    height: int = 36,
    seed: int = 0,
    *,
    focal: float | None = None,
    center: tuple[float, float] | None = None,
) -> DrawnScene:
    """Ten points, and a camera that starts as the identity and each frame goes 0.1 m along +z and 0.05 m along +x and
    turns by 2 degrees.

    Args:
        focal: pixels, the same for x and y; 0.8 times the width if left out.
        center: principal point (x, y), corner origin; somewhat off the middle if left out.
    """
    focal = focal or 0.8 * width
    x, y = center or (width / 2 + 1.25, height / 2 - 0.75)
    intrinsics = np.array([[focal, 0, x], [0, focal, y], [0, 0, 1.0]])
    poses = np.stack([_pose(frame) for frame in range(frames)])
    colors = np.array([colorsys.hsv_to_rgb(i / DOTS, 1, 1) for i in range(DOTS)])
    empty = DrawnScene(
        intrinsics=intrinsics,
        world_from_camera=poses,
        points=np.zeros((0, 3)),
        colors=(colors * 255).round().astype(np.uint8),
        height=height,
        width=width,
    )
    random = np.random.default_rng(seed)
    best: tuple[float, np.ndarray] = (-1.0, np.zeros((DOTS, 3)))
    for _ in range(20):
        points = _scatter(empty, random)
        share = _measurable(empty, points).mean()
        best = max(best, (float(share), points), key=lambda pair: pair[0])
        if share == 1:
            break
    return DrawnScene(**{**vars(empty), "points": best[1]})


def check_converted(
    clip: Path,
    scene: DrawnScene,
    *,
    scale_free: bool,
    frames: Sequence[int] | None = None,
    flip: np.ndarray | None = None,
    inverted: bool = False,
    pixel_tolerance: float = 0.35,
    depth_tolerance: float = 2e-3,
) -> None:
    """Assert that a clip folder shows ``scene``; reads the files by itself.

    Checks that (1) every dot that is free and inside is where the cameras of the clip say, in its colour, (2) relative
    poses are the scene's, (3) rotations are rotations, (4) the frames are ``frames`` of the scene (all by default) in
    order, (5) files and cameras are as many as scene.json says and there are captions, and, where the clip has depth,
    that it lifts the dots to the points.

    Args:
        scale_free: the clip's unit may be any.
        flip: multiplied to every camera-to-world pose [4,4] from the right before checking, as if the axes had been
            mistaken: the check must fail then.
        inverted: take the poses for their inverses before checking; the check must fail then.
        pixel_tolerance: largest distance between a dot's centre and its projection.
        depth_tolerance: largest distance between a lifted dot and its point, as a part of its depth.
    """
    chosen = list(range(scene.frames)) if frames is None else list(frames)
    record = json.loads((clip / "scene.json").read_text())
    cameras = json.loads((clip / "cameras.json").read_text())
    extrinsics, intrinsics = (np.array(cameras[name], dtype=np.float64) for name in ("extrinsics", "intrinsics"))
    pictures = _listed(clip / "frames")
    assert record["frames"] == len(extrinsics) == len(intrinsics) == len(pictures) == len(chosen)
    assert (clip / "captions.txt").is_file()
    size = (record["height"], record["width"])
    assert (cameras["height"], cameras["width"]) == size
    rotations = extrinsics[:, :3, :3]
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-4)
    assert np.allclose(np.linalg.det(rotations), 1, atol=1e-4)
    poses = np.linalg.inv(extrinsics)
    assert np.abs(poses[0, :3, 3]).max() < 1e-5, "the first camera is where the world begins"
    poses = np.linalg.inv(poses) if inverted else poses
    poses = poses if flip is None else poses @ flip

    true_poses = scene.world_from_camera[chosen]
    relative, true_relative = (np.linalg.inv(p[0]) @ p for p in (poses, true_poses))
    scale = 1.0
    if scale_free:
        scale = np.linalg.norm(relative[:, :3, 3]) / np.linalg.norm(true_relative[:, :3, 3])
    true_relative[:, :3, 3] *= scale
    true_points = (scene.points - true_poses[0, :3, 3]) @ true_poses[0, :3, :3] * scale
    points = true_points @ poses[0, :3, :3].T + poses[0, :3, 3]
    measured = 0
    for index, path in enumerate(pictures):
        with Image.open(path) as opened:
            picture = np.asarray(opened.convert("RGB"), dtype=np.float64)
        assert picture.shape[:2] == size
        free = _free(_project(intrinsics[index], true_relative[index], true_points), *size)
        pixels = _project(intrinsics[index], poses[index], points)
        depth = _depth(clip, index, record["depth_scale"]) if record["depth_scale"] is not None else None
        for dot in np.flatnonzero(free):
            measured += 1
            _check_dot(picture, pixels[dot], scene.colors[dot], f"{path.name}, dot {dot}", pixel_tolerance)
            if depth is not None:
                lifted = _lift(depth, pixels[dot], intrinsics[index], poses[index])
                error = np.linalg.norm(lifted - points[dot])
                far = true_points[dot, 2]
                assert error < depth_tolerance * far, f"{path.name}, dot {dot}: {lifted} is not {points[dot]}"
    assert measured >= 0.4 * DOTS * len(chosen), f"only {measured} dots could be measured; choose another scene"
    assert np.allclose(relative, true_relative, atol=1e-5 * max(1.0, scale)), "relative poses differ"


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder with its time of change and content: equal if nothing was touched."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def _pose(frame: int) -> np.ndarray:
    angle = np.radians(2.0 * frame)
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    pose[:3, 3] = [0.05 * frame, 0, 0.1 * frame]
    return pose


def _scatter(empty: DrawnScene, random: np.random.Generator) -> np.ndarray:
    """Points one by one, each of twenty tries that hides the others least and leaves the picture least."""
    points = np.zeros((0, 3))
    for _ in range(DOTS):
        pixels = np.stack([random.uniform(0, empty.width, 30), random.uniform(0, empty.height, 30), np.ones(30)], 1)
        pose = empty.world_from_camera[empty.frames // 2]
        rays = pixels @ np.linalg.inv(empty.intrinsics).T * random.uniform(2.5, 6, (30, 1))
        tries = [np.vstack([points, point]) for point in rays @ pose[:3, :3].T + pose[:3, 3]]
        points = max(tries, key=lambda candidate: float(_measurable(empty, candidate).sum()))
    return points


def _measurable(empty: DrawnScene, points: np.ndarray) -> np.ndarray:
    """[F,N] whether each point's dot is inside the picture and free of the others."""
    return _free(_project(empty.intrinsics, empty.world_from_camera, points), empty.height, empty.width)


def _project(intrinsics: np.ndarray, world_from_camera: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[...,N,2] by poses [...,4,4]; not finite behind the camera."""
    seen = (points - world_from_camera[..., None, :3, 3]) @ world_from_camera[..., :3, :3] @ intrinsics.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(seen[..., 2:] > 0, seen[..., :2] / seen[..., 2:], np.nan)


def _free(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    inside = ((pixels > ROOM) & (pixels < np.array([width, height]) - ROOM)).all(-1)
    apart = np.abs(pixels[..., :, None, :] - pixels[..., None, :, :]).max(-1)
    apart[..., np.arange(apart.shape[-1]), np.arange(apart.shape[-1])] = np.inf
    return inside & (np.nan_to_num(apart, nan=np.inf).min(-1, initial=np.inf) > 2 * RADIUS + 1.5)


def _cover(middle: float, count: int) -> np.ndarray:
    """How much of each of ``count`` pixels the dot around ``middle`` covers along one axis."""
    left = np.arange(count)
    return np.clip(np.minimum(left + 1, middle + RADIUS) - np.maximum(left, middle - RADIUS), 0, 1)


def _check_dot(picture: np.ndarray, pixel: np.ndarray, color: np.ndarray, where: str, tolerance: float) -> None:
    assert np.isfinite(pixel).all(), f"{where} is behind the camera"
    height, width = picture.shape[:2]
    column, row = (int(np.floor(value)) for value in pixel)
    assert 0 <= row < height, f"{where} should be at {pixel}, outside"
    assert 0 <= column < width, f"{where} should be at {pixel}, outside"
    difference = np.abs(picture[row, column] - color).max()
    assert difference <= COLOR_TOLERANCE, f"{where}: at {pixel} there is {picture[row, column]}, not {color}"
    grey = np.median(picture.reshape(-1, 3), axis=0)
    reach = int(ROOM)
    rows, columns = np.mgrid[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    inside = (rows < height) & (columns < width)
    rows, columns = rows[inside], columns[inside]
    axis = color - grey
    share = ((picture[rows, columns] - grey) @ axis / (axis @ axis)).clip(0, 1)
    share[share < 0.08] = 0
    found = np.array([(share * (columns + 0.5)).sum(), (share * (rows + 0.5)).sum()]) / share.sum()
    assert np.abs(found - pixel).max() < tolerance, f"{where} should be at {pixel}, but is at {found}"


def _depth(clip: Path, index: int, scale: float) -> np.ndarray:
    with Image.open(_listed(clip / "depth")[index]) as opened:
        return np.asarray(opened, dtype=np.float64) * scale


def _lift(depth: np.ndarray, pixel: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray) -> np.ndarray:
    value = depth[int(pixel[1]), int(pixel[0])]
    assert value > 0, f"there is no depth at {pixel}"
    return pose[:3, :3] @ (np.linalg.inv(intrinsics) @ [*pixel, 1.0] * value) + pose[:3, 3]


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
