"""Writes a Virtual KITTI 2 tree: world-to-camera rows, pixels counted from the first one's centre, centimetres."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from data.converters.fixture import DrawnScene

BASELINE = 0.532725


def right_camera(scene: DrawnScene) -> DrawnScene:
    """What Camera_1 sees: the same, a baseline further along x."""
    aside = np.eye(4)
    aside[0, 3] = BASELINE
    return replace(scene, world_from_camera=scene.world_from_camera @ aside)


def write_vkitti(
    root: Path,
    scene: DrawnScene,
    *,
    drive: str = "Scene01",
    variation: str = "clone",
    one_tree: bool = True,
    inverted: bool = False,
) -> None:
    """Both cameras of one drive. ``one_tree`` False: a folder per archive. ``inverted`` writes the wrong poses."""
    below = {kind: root if one_tree else root / f"vkitti_2.0.3_{kind}" for kind in ("rgb", "depth", "textgt")}
    text = below["textgt"] / drive / variation
    text.mkdir(parents=True, exist_ok=True)
    extrinsic = ["frame cameraID r1,1 r1,2 r1,3 t1 r2,1 r2,2 r2,3 t2 r3,1 r3,2 r3,3 t3 0 0 0 1"]
    intrinsic = ["frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]"]
    cameras = (scene, right_camera(scene))
    focal, middle = scene.intrinsics[0, 0], scene.intrinsics[:2, 2] - 0.5
    for frame in range(scene.frames):
        for number, camera in enumerate(cameras):
            world_to_camera = np.linalg.inv(camera.world_from_camera[frame])
            written = camera.world_from_camera[frame] if inverted else world_to_camera
            extrinsic.append(" ".join(map(str, [frame, number, *written.reshape(-1).tolist()])))
            intrinsic.append(" ".join(map(str, [frame, number, focal, focal, *middle.tolist()])))
            x, y, z = world_to_camera[:3, :3] @ scene.points.T + world_to_camera[:3, 3:]
            from_centre = np.stack([focal * x / z + middle[0], focal * y / z + middle[1]], axis=1)
            pixels = from_centre + 0.5  # of the picture's corner
            depth = scene.draw_depth(pixels, z)
            centimetres = np.where(depth > 0, (depth * 100).round(), 65535).astype(np.uint16)
            picture = Image.fromarray(scene.draw(frame, pixels))
            folder = below["rgb"] / drive / variation / "frames" / "rgb" / f"Camera_{number}"
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"rgb_{frame:05d}.jpg", quality=95, subsampling=0)
            folder = below["depth"] / drive / variation / "frames" / "depth" / f"Camera_{number}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(centimetres).save(folder / f"depth_{frame:05d}.png")
    (text / "extrinsic.txt").write_text("\n".join(extrinsic) + "\n")
    (text / "intrinsic.txt").write_text("\n".join(intrinsic) + "\n")
