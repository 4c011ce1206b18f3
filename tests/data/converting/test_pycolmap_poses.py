"""Structure from motion finds the true cameras of textured pictures, and says so where it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.converting.textured import textured_pictures
from gen3r.data.converting.pycolmap_poses import PycolmapPoses
from gen3r.data.converting.raw import PoseEstimator, UnusableScene

FOCAL = 250.0


def degrees(first: np.ndarray, second: np.ndarray) -> float:
    """Angle between two rotations."""
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))


def test_true_cameras_are_found(tmp_path: Path) -> None:
    pictures, intrinsics, poses = textured_pictures(6, 210, 280, FOCAL)
    files = tuple(tmp_path / f"{index}.png" for index in range(7))
    for file, picture in zip(files, pictures, strict=False):
        Image.fromarray(picture).save(file)
    sideways = files[2].with_suffix(".jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(files[2]).transpose(Image.Transpose.ROTATE_90).save(sideways, exif=exif, quality=98, subsampling=0)
    Image.new("RGB", (280, 210), "grey").save(files[6])
    estimator = PycolmapPoses(threads=1)
    assert isinstance(estimator, PoseEstimator)
    cameras = estimator((*files[:2], sideways, *files[3:]))
    assert cameras[6] is None
    found = [camera for camera in cameras[:6] if camera is not None]
    assert len(found) == 6
    for camera in found:
        assert (camera.height, camera.width) == (210, 280)
        assert np.allclose(camera.intrinsics, intrinsics, rtol=0.02)
    estimated = np.stack([camera.world_from_camera for camera in found])
    relative, true = (np.linalg.inv(p[0]) @ p for p in (estimated, poses))
    assert max(degrees(a[:3, :3], b[:3, :3]) for a, b in zip(relative, true, strict=True)) < 1
    a, b = relative[:, :3, 3], true[:, :3, 3]
    assert np.linalg.norm(a * (a * b).sum() / (a * a).sum() - b) < 0.03 * np.linalg.norm(b)


def test_pictures_without_texture_are_refused(tmp_path: Path) -> None:
    files = tuple(tmp_path / f"{index}.png" for index in range(3))
    for file in files:
        Image.new("RGB", (64, 48), "grey").save(file)
    with pytest.raises(UnusableScene, match="texture"):
        PycolmapPoses(threads=1)(files)


def test_pictures_can_be_written_after_pycolmap() -> None:
    """Pillow crashes in a process that had pycolmap before it and zlib."""
    code = (
        "import gen3r.data.converters.colmap, io; from PIL import Image; "
        "Image.effect_noise((200, 200), 50).save(io.BytesIO(), 'PNG')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
