"""Camera paths that a client drew: a cameras.json record inside a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gen3r.cameras import Cameras
from gen3r.scene.camera_files import read_cameras
from gen3r.scene.limits import evenly_spread


def read_drawn_path(record: Mapping[str, object], file: Path) -> Cameras:
    """Cameras of a cameras.json record, by way of ``file``, which is gone afterwards.

    Raises:
        ValueError: for whatever `read_cameras` refuses.
    """
    try:
        file.write_text(json.dumps(record), encoding="utf-8")
        return read_cameras(file)
    except ValueError as error:
        raise ValueError(str(error).replace(str(file), "camera_path")) from error
    finally:
        file.unlink(missing_ok=True)


def spread_cameras(cameras: Cameras, frames: int) -> Cameras:
    """As many cameras as there are frames, evenly spread over the path, first and last included.

    Raises:
        ValueError: if there are fewer cameras than frames.
    """
    count = cameras.shape[0]
    if count < frames:
        raise ValueError(f"camera_path holds {count} cameras for {frames} frames; give one per frame.")
    return cameras[evenly_spread(count, frames)]
