"""Clips from seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from gen3r.data.clip import Clip
from gen3r.data.synthetic.render import render
from gen3r.data.synthetic.shots import Shot, plan_shot, plan_shots


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
    return render_shot(plan_shot(seed, frames), height, width, device, store, samples=samples, compiled=compiled)


def render_shot(
    shot: Shot,
    height: int,
    width: int,
    device: torch.device | str = "cpu",
    store: torch.device | str = "cpu",
    *,
    samples: int = 4,
    compiled: bool = False,
) -> Clip:
    """The clip of a shot; arguments as those of ``generate_clip``."""
    cameras = shot.cameras(height, width)
    color, depth = render(shot.scene.to(device), cameras, samples=samples, compiled=compiled)
    return Clip(
        rgb=(color * 255).round().clamp(0, 255).to(torch.uint8).to(store),
        depth=depth.to(store),
        cameras=cameras.to(store),
        caption=shot.caption,
        seed=shot.seed,
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
    workers: int = 0,
) -> Iterator[Clip]:
    """Clips of several seeds, one after the other; each is what ``generate_clip`` gives for its seed.

    With ``workers``, so many processes plan them ahead (see ``plan_shots``): on an accelerator that takes longer than
    rendering.
    """
    for shot in plan_shots(seeds, frames, workers):
        yield render_shot(shot, height, width, device, store, samples=samples, compiled=compiled)
