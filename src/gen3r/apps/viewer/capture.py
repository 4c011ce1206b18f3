"""Pictures and videos of what a browser shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import viser
from jaxtyping import UInt8
from PIL import Image

from gen3r.apps.viewer.poses import pose_matrix, quaternion
from gen3r.scene.export.video import write_h264
from gen3r.scene.turntable import Turntable, turned
from gen3r.whole_file import whole_file

WHITE = 255
PATIENCE = 60.0
"""Seconds a browser may take for one picture."""
UP = np.array([0.0, -1.0, 0.0])
"""Up in the world: minus y, as in OpenCV."""


def screenshot(client: viser.ClientHandle, path: Path, size: tuple[int, int]) -> None:
    """Save what a client sees, (height, width) in pixels, as PNG."""
    picture = _opaque(client.get_render(*size, transport_format="png", timeout=PATIENCE))
    with whole_file(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def turntable(client: viser.ClientHandle, path: Path, table: Turntable, progress: Callable[[float], None]) -> None:
    """Save a video of the client's view turning around what it looks at; `progress` is told the fraction done."""
    camera = client.camera
    poses = turned(pose_matrix(camera.wxyz, camera.position), np.asarray(camera.look_at), UP, table.angles)

    def frames() -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        for index, pose in enumerate(poses):
            yield _opaque(
                client.get_render(
                    table.height,
                    table.width,
                    wxyz=quaternion(pose[:3, :3]),
                    position=pose[:3, 3],
                    fov=camera.fov,
                    transport_format="png",
                    timeout=PATIENCE,
                )
            )
            progress((index + 1) / len(poses))

    with whole_file(path) as temporary:
        write_h264(temporary, frames(), rate=table.rate)


def _opaque(picture: UInt8[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "H W 3"]:
    """RGBA on white."""
    if picture.shape[-1] == 3:
        return picture
    alpha = picture[..., 3:].astype(np.float32) / 255
    return (picture[..., :3] * alpha + WHITE * (1 - alpha)).round().astype(np.uint8)
