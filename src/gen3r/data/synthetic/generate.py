"""Clips from seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch

from gen3r.cameras import Cameras
from gen3r.data.clip import Clip
from gen3r.data.synthetic.captions import caption
from gen3r.data.synthetic.packed import pack
from gen3r.data.synthetic.paths import film
from gen3r.data.synthetic.places import describe
from gen3r.data.synthetic.render import render


def generate_clip(
    seed: int,
    frames: int = 17,
    height: int = 224,
    width: int = 224,
    *,
    device: torch.device | str = "cpu",
    store: torch.device | str = "cpu",
    samples: int = 4,
    compiled: bool = False,
) -> Clip:
    """The clip of a seed: scene, camera path, frames with exact depth, and a caption.

    The scene, the path and the caption depend on the seed alone; frames, size and samples only set how finely they are
    seen. On one kind of device the same call gives the same bits, alone or among other seeds.

    Args:
        seed: at least 0; see ``split_of`` for which seeds may be trained on.
        frames: number of frames over the path.
        height: image rows in pixels.
        width: image columns in pixels.
        device: where to render.
        store: where the clip is kept; the device that rendered it saves training the way over the CPU.
        samples: colour samples per pixel: 1, 2 or 4.
        compiled: see ``render``.

    Raises:
        ValueError: negative seed, or an unsupported number of samples.
    """
    if seed < 0:
        raise ValueError(f"seeds must be 0 or more, got {seed}.")
    scene = describe(seed)
    packed = pack(scene)
    path = film(scene, packed, seed)
    focal = 0.5 * min(height, width) / math.tan(path.fov / 2)
    intrinsics = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    cameras = Cameras.from_world_from_camera(path.poses(frames), intrinsics[None], height, width)
    color, depth = render(packed.to(device), cameras, samples=samples, compiled=compiled)
    return Clip(
        rgb=(color * 255).round().clamp(0, 255).to(torch.uint8).to(store),
        depth=depth.to(store),
        cameras=cameras.to(store),
        caption=caption(scene.setting, path.seen, path.words, seed),
        seed=seed,
    )


def generate_clips(
    seeds: Iterable[int],
    frames: int = 17,
    height: int = 224,
    width: int = 224,
    *,
    device: torch.device | str = "cpu",
    store: torch.device | str = "cpu",
    samples: int = 4,
    compiled: bool = False,
) -> Iterator[Clip]:
    """Clips of several seeds, one after the other; each is what ``generate_clip`` gives for its seed."""
    for seed in seeds:
        yield generate_clip(seed, frames, height, width, device=device, store=store, samples=samples, compiled=compiled)
