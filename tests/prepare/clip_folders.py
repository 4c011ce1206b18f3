"""A small dataset of clip folders, smooth pictures and cameras that move sideways."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from gen3r.cameras import Cameras
from gen3r.data.clip import Split
from gen3r.data.schema.writer import ClipWriter

HEIGHT, WIDTH = 112, 126
"""Taller sides fit the model; the width is cut by 7 pixels on both sides."""


def write_dataset(
    folder: Path, count: int = 3, *, frames: int = 9, depth: bool = True, captions: int = 2, split: Split = "train"
) -> Path:
    """Clips ``clip0``, ``clip1`` ... with ``captions`` prompts each, and depth unless it is left out."""
    for number in range(count):
        rng = torch.Generator().manual_seed(number)
        coarse = torch.rand(frames, 3, 5, 6, generator=rng)
        rgb = functional.interpolate(coarse, size=(HEIGHT, WIDTH), mode="bicubic").clamp(0, 1)
        extrinsics = torch.eye(4).repeat(frames, 1, 1)
        extrinsics[:, 0, 3] = torch.linspace(3, 3.5 + number, frames)
        with ClipWriter(folder / f"clip{number}") as clip:
            for index in range(frames):
                clip.add_picture((rgb[index].permute(1, 2, 0) * 255).byte().numpy())
                if depth:
                    clip.add_depth(np.full((HEIGHT, WIDTH), 2.0 + number, dtype=np.float32))
            clip.finish(
                Cameras.from_fov(extrinsics, 1.0, HEIGHT, WIDTH),
                [f"a red ball {'room ' * line}on the left" for line in range(captions)],
                caption_kind="given" if captions else "none",
                split=split,
                source=f"source{number % 2}",
                licence="CC0-1.0",
                scale_kind="metric",
            )
    return folder
