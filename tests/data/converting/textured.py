"""A few textured boards before a wall, drawn exactly: pictures that structure from motion can work with."""

from __future__ import annotations

import numpy as np


def textured_pictures(
    frames: int, height: int, width: int, focal: float
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """uint8 pictures [H,W,3], intrinsics [3,3] with a centred principal point, and camera-to-world poses [F,4,4]."""
    random = np.random.default_rng(0)
    boards = [(np.array([0.0, 0, 6]), np.array([6.0, 0, 0]), np.array([0, 5.0, 0]))]
    for _ in range(10):
        middle, angle = random.uniform([-2, -1.4, 2.5], [2, 1.4, 5]), random.uniform(-0.6, 0.6)
        sides = random.uniform(0.3, 0.7, 2)
        across = np.array([np.cos(angle), 0, np.sin(angle)]) * sides[0]
        boards.append((middle, across, np.array([0, sides[1], 0])))
    textures = random.uniform(0, 255, (len(boards), 128, 128, 3))
    rows, columns = np.mgrid[:height, :width] + 0.5
    rays = np.stack([(columns - width / 2) / focal, (rows - height / 2) / focal, np.ones_like(rows)], -1)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    pictures = []
    for pose, part in zip(poses, np.linspace(0, 1, frames), strict=True):
        angle = np.radians(8 - 16 * part)
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        pose[:3, 3] = [-0.7 + 1.4 * part, 0.2 * part, 0.3 * part]
        pictures.append(_draw(boards, textures, rays @ pose[:3, :3].T, pose[:3, 3]))
    return pictures, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]), poses


def _draw(boards: list, textures: np.ndarray, rays: np.ndarray, center: np.ndarray) -> np.ndarray:
    picture, nearest = np.zeros(rays.shape), np.full(rays.shape[:2], np.inf)
    for (middle, across, down), texture in zip(boards, textures, strict=True):
        normal = np.cross(across, down)
        distance = ((middle - center) @ normal) / (rays @ normal)
        offset = center + rays * distance[..., None] - middle
        place = np.stack([offset @ side / (side @ side) for side in (across, down)], -1)
        hit = (distance > 0) & (distance < nearest) & (np.abs(place) <= 1).all(-1)
        cells = (place[hit] + 1) * [np.linalg.norm(across) * 10, np.linalg.norm(down) * 10]
        corner = np.floor(cells).astype(int)
        share = cells - corner
        share = share * share * (3 - 2 * share)
        color = np.zeros((len(cells), 3))
        for x, y in np.ndindex(2, 2):
            weight = np.abs(1 - x - share[:, 0]) * np.abs(1 - y - share[:, 1])
            color += texture[(corner[:, 0] + x) % 128, (corner[:, 1] + y) % 128] * weight[:, None]
        picture[hit], nearest[hit] = color, distance[hit]
    return picture.round().astype(np.uint8)
