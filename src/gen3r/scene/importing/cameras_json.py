"""`cameras.json`, our own or an official one, as a camera source."""

from __future__ import annotations

from pathlib import Path

from gen3r.scene.camera_files import read_cameras
from gen3r.scene.importing.track import CameraTrack, ReadOptions
from gen3r.scene.json_files import looks_like_json

FILE_NAME = "cameras.json"


def find(path: Path) -> Path | None:
    """Any JSON file that no other format claimed, or the cameras.json of a folder."""
    file = path / FILE_NAME if path.is_dir() else path
    return file if looks_like_json(file) else None


def read(path: Path, options: ReadOptions) -> CameraTrack:
    """See `gen3r.scene.camera_files.read_cameras`."""
    return CameraTrack(cameras=read_cameras(path, size=options.size))
