"""Frames of nerfstudio's transforms.json with their lenses: what DL3DV, ScanNet++ and nerfstudio projects share.

https://docs.nerf.studio/quickstart/data_conventions.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from gen3r.cameras.convention import invert_se3
from gen3r.data.converting.lenses import FisheyeLens, OpenCVLens
from gen3r.data.converting.raw import Lens, RawCamera
from gen3r.scene.importing.nerfstudio import EXTRINSICS, FrameEntry

_ASPECT_TOLERANCE = 0.01
"""By how much a scaled picture may differ in shape from the file's w and h: its sides are whole pixels."""


def _coefficients(frame: FrameEntry, names: tuple[str, ...]) -> tuple[float, ...]:
    return tuple(frame.number(name) if name in frame.values else 0.0 for name in names)


def _brown(frame: FrameEntry) -> Lens | None:
    if any(_coefficients(frame, ("k4", "k5", "k6"))):
        raise ValueError(f"{frame.where}: expected k4, k5 and k6 to be 0 but for camera_model FULL_OPENCV.")
    return _opencv(frame, ("k1", "k2", "p1", "p2", "k3"))


def _rational(frame: FrameEntry) -> Lens | None:
    return _opencv(frame, ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"))


def _opencv(frame: FrameEntry, names: tuple[str, ...]) -> Lens | None:
    coefficients = _coefficients(frame, names)
    return OpenCVLens(coefficients) if any(coefficients) else None


def _fisheye(frame: FrameEntry) -> Lens:
    return FisheyeLens(_coefficients(frame, ("k1", "k2", "k3", "k4")))


_LENSES: Mapping[str, Callable[[FrameEntry], Lens | None]] = {
    "PINHOLE": _brown,
    "SIMPLE_PINHOLE": _brown,
    "SIMPLE_RADIAL": _brown,
    "RADIAL": _brown,
    "OPENCV": _brown,
    "PERSPECTIVE": _brown,
    "FULL_OPENCV": _rational,
    "OPENCV_FISHEYE": _fisheye,
    "FISHEYE": _fisheye,
}
"""By camera_model. A PINHOLE with coefficients is taken at its coefficients' word."""


def raw_camera(frame: FrameEntry, size: tuple[int, int], axes: str = "opengl", unit: float = 1.0) -> RawCamera:
    """The camera of a frame's picture.

    Args:
        frame: its entry.
        size: (height, width) of the picture on disk, which may be a smaller or larger copy of what the file describes.
        axes: of the camera, a key of ``EXTRINSICS``.
        unit: length of a scene unit in the file.

    Raises:
        ValueError: naming file and frame, for missing numbers, a panorama, and a picture of another shape.
    """
    height, width = frame.size
    if abs(size[1] * height - size[0] * width) > _ASPECT_TOLERANCE * size[1] * height:
        raise ValueError(
            f"{frame.where}: the picture is {size[0]}x{size[1]}, but w and h say {height}x{width} (HxW); both must "
            "show the same, at any resolution."
        )
    scale = torch.tensor([size[1] / width, size[0] / height, 1.0], dtype=torch.float64)
    world_from_camera = invert_se3(EXTRINSICS[axes](frame.pose()))
    world_from_camera[:3, 3] /= unit
    return RawCamera(
        intrinsics=(frame.intrinsics() * scale[:, None]).numpy(),
        world_from_camera=world_from_camera.numpy(),
        height=size[0],
        width=size[1],
        lens=_lens(frame),
    )


def _lens(frame: FrameEntry) -> Lens | None:
    model = "OPENCV_FISHEYE" if frame.values.get("is_fisheye") else frame.values.get("camera_model", "OPENCV")
    make = _LENSES.get(model) if isinstance(model, str) else None
    if make is None:
        raise ValueError(
            f"{frame.where}: expected camera_model to be one of {', '.join(_LENSES)}, got {model!r:.60}; cut "
            "perspective pictures out of panoramas first."
        )
    return make(frame)
