"""COLMAP models, text or binary, as a camera source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import torch
from jaxtyping import Float64
from natsort import natsorted
from torch import Tensor

from gen3r.cameras.convention import homogeneous
from gen3r.scene.export.frames_png import IMAGES_FOLDER
from gen3r.scene.importing.colmap_binary import check_binary_model
from gen3r.scene.importing.track import CameraTrack, ReadOptions, joined

_REFUSALS = (ValueError, IndexError, KeyError, MemoryError, RuntimeError)
"""What pycolmap raises for models it cannot read, and for names that are no UTF-8."""


def read(path: Path, options: ReadOptions) -> CameraTrack:
    """Cameras of the registered images in the natural order of their names, and the model's points.

    Args:
        path: the folder with the model's files.

    Raises:
        ValueError: for damaged files, no registered image, and cameras that are not pinholes without distortion.
    """
    reconstruction, images = read_model(path)
    cameras = [reconstruction.cameras[image.camera_id] for image in images]
    extrinsics = torch.from_numpy(np.stack([image.cam_from_world().matrix() for image in images]))
    folder = picture_folder(path)
    return CameraTrack(
        cameras=joined(
            path,
            homogeneous(extrinsics),
            torch.stack([_pinhole(path, image.name, camera) for image, camera in zip(images, cameras, strict=True)]),
            [(camera.height, camera.width) for camera in cameras],
        ),
        pictures=tuple(folder / image.name for image in images),
        points=torch.from_numpy(np.array([p.xyz for p in reconstruction.points3D.values()]).reshape(-1, 3)),
    )


def read_model(path: Path) -> tuple[pycolmap.Reconstruction, list[pycolmap.Image]]:
    """A model, and its registered images in the natural order of their names.

    Raises:
        ValueError: for damaged files, and no registered image.
    """
    check_binary_model(path)
    reconstruction = pycolmap.Reconstruction()
    try:
        reconstruction.read(path)
        posed = [image for image in reconstruction.images.values() if image.has_pose]
        images = natsorted(posed, key=lambda image: image.name)
    except _REFUSALS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is not a readable COLMAP model: {reason}.") from error
    if not images:
        raise ValueError(f"{path} holds no image with a pose; expected at least one.")
    return reconstruction, images


def _pinhole(path: Path, name: str, camera: pycolmap.Camera) -> Float64[Tensor, "3 3"]:
    if not (camera.is_perspective_pinhole() and camera.is_undistorted()):
        raise ValueError(
            f"{path}: the camera of {name} must be a pinhole without distortion, got {camera.model.name} with "
            f"{camera.params_to_string()}; run colmap image_undistorter and use the model it writes."
        )
    return torch.from_numpy(camera.calibration_matrix())


def picture_folder(model: Path) -> Path:
    """Where the pictures are: beside the folder sparse/0, sparse or colmap/sparse/0, or in the model's own."""
    parent = model.parent
    places = [folder / IMAGES_FOLDER for folder in (parent.parent, parent, model, parent.parent.parent)]
    return next((place for place in places if place.is_dir()), places[0])
