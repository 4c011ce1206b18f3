"""What a clip shows, before it is rendered: seconds of one core for many clips, so several processes can share it."""

from __future__ import annotations

import math
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras import Cameras
from gen3r.data.synthetic.captions import caption
from gen3r.data.synthetic.packed import PackedScene, pack
from gen3r.data.synthetic.paths import film
from gen3r.data.synthetic.places import describe

_AHEAD = 4
"""Shots that each process is asked for before the first of them is taken."""
_Numbers = tuple[bool, np.ndarray, list[list[int]], np.ndarray, float, str, int]
"""A shot between processes: flat arrays, as tensors would each hold a file descriptor open."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A scene, the path of a camera through it, and words for both."""

    scene: PackedScene
    """What to look at."""
    poses: Float[Tensor, "F 4 4"]
    """World-from-camera."""
    fov: float
    """Full field of view along the shorter image side, radians."""
    caption: str
    """What there is, and what the camera does."""
    seed: int
    """That all of this follows from."""

    def cameras(self, height: int, width: int) -> Cameras:
        """The cameras of pictures of this size."""
        focal = 0.5 * min(height, width) / math.tan(self.fov / 2)
        intrinsics = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        return Cameras.from_world_from_camera(self.poses, intrinsics[None], height, width)


def plan_shot(seed: int, frames: int) -> Shot:
    """The shot of a seed: scene, path and caption depend on the seed alone, ``frames`` on how finely it is seen.

    Raises:
        ValueError: negative seed.
    """
    if seed < 0:
        raise ValueError(f"seeds must be 0 or more, got {seed}.")
    scene = describe(seed)
    packed = pack(scene)
    path = film(scene, packed, seed)
    words = caption(scene.setting, path.seen, path.words, seed)
    return Shot(scene=packed, poses=path.poses(frames), fov=path.fov, caption=words, seed=seed)


def plan_shots(seeds: Iterable[int], frames: int, workers: int = 0) -> Iterator[Shot]:
    """The shots of several seeds, in order.

    Args:
        seeds: of the clips.
        frames: poses of each.
        workers: processes that plan ahead; 0 plans each when it is asked for. They import what they need by
            themselves, so a script that asks for them guards its main part by ``if __name__ == "__main__"``.
    """
    if not workers:
        yield from (plan_shot(seed, frames) for seed in seeds)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _one_thread) as pool:
        waiting: deque[Future[_Numbers]] = deque()
        try:
            for seed in seeds:
                waiting.append(pool.submit(_planned, seed, frames))
                if len(waiting) >= _AHEAD * workers:
                    yield _shot(waiting.popleft().result())
            while waiting:
                yield _shot(waiting.popleft().result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _planned(seed: int, frames: int) -> _Numbers:
    shot = plan_shot(seed, frames)
    flat, sizes = shot.scene.flat()
    return shot.scene.is_room, flat.numpy(), sizes, shot.poses.numpy(), shot.fov, shot.caption, seed


def _shot(numbers: _Numbers) -> Shot:
    is_room, flat, sizes, poses, fov, words, seed = numbers
    scene = PackedScene.unflat(is_room, torch.from_numpy(flat), sizes)
    return Shot(scene=scene, poses=torch.from_numpy(poses), fov=fov, caption=words, seed=seed)
