"""Scenes made by hand, whose depth is known from a formula."""

import math
import random

import torch
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.data.synthetic.description import Description, Light, Shape, Vector, material
from gen3r.data.synthetic.packed import PackedScene, pack


def known_scene(
    *solids: tuple[Shape, Vector, Vector, float, float], room: Vector | None = None, emission: float = 0.0
) -> PackedScene:
    """Solids (shape, centre, half size, yaw, pitch) over the ground at y = 0, or in a room of this half extent."""
    gray = material((0.5, 0.5, 0.5), emission=emission)
    scene = Description(
        random=random.Random(0),
        palette=[(0.5, 0.5, 0.5)],
        wood=((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        is_room=room is not None,
        half_extent=room or (4.0, 99.0, 4.0),
        surroundings=(material((0.5, 0.5, 0.5)),) * 6,
        light=Light(
            position=(0.3, 0.9, 0.3) if room is None else (0.0, room[1] - 0.3, 0.0),
            color=(2.0, 2.0, 2.0),
            sky=(0.1, 0.3, 0.7),
            horizon=(0.6, 0.7, 0.9),
            ambient_up=(0.3, 0.3, 0.3),
            ambient_down=(0.2, 0.2, 0.2),
        ),
    )
    for shape, center, half_size, yaw, pitch in solids:
        scene.add(shape, center, half_size, gray, yaw, pitch)
    return pack(scene)


def level_cameras(eyes: Tensor, height: int = 33, width: int = 41, fov: float = math.pi / 3) -> Cameras:
    """Cameras at ``eyes`` [F,3] that look along world -z, x to the right, y up."""
    poses = torch.eye(4).repeat(len(eyes), 1, 1)
    poses[:, 1, 1] = poses[:, 2, 2] = -1
    poses[:, :3, 3] = eyes
    return Cameras.from_fov(torch.linalg.inv(poses), fov, height, width)


def cameras_at(eyes: list[Vector], size: int, focal: float) -> Cameras:
    """`level_cameras` with square images and a focal length in pixels."""
    return level_cameras(torch.tensor(eyes), size, size, 2 * math.atan(size / 2 / focal))
