"""Input pictures, videos and folders of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float32
from torch import Tensor

from gen3r.scene.images import IMAGE_SUFFIXES, read_images
from gen3r.scene.limits import evenly_spread
from gen3r.scene.video_reader import VIDEO_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class InputPictures:
    """Pictures in the order given, at the size of the model."""

    images: Float32[Tensor, "V 3 H W"]
    """sRGB in [0, 1]."""
    is_clip: bool
    """They are the frames of one video or folder rather than single pictures."""


def read_pictures(paths: Sequence[str], *, size: tuple[int, int], max_frames: int) -> InputPictures:
    """Read single pictures, or one video or folder of which at most ``max_frames`` evenly spread frames are kept.

    Each picture is brought to ``size`` (height, width) as it is read, so that memory does not grow with their own size.

    Raises:
        ValueError: for unreadable files (see ``gen3r.scene.images``), or a video or folder beside other inputs.
    """
    files = [Path(path) for path in paths]
    clips = [file for file in files if file.is_dir() or file.suffix.lower() in VIDEO_SUFFIXES]
    if clips and len(files) > 1:
        raise ValueError(
            f"a video or folder must be the only input, got {len(files)} inputs with {clips[0]} among them; "
            f"name either one of those or pictures ({', '.join(IMAGE_SUFFIXES)})."
        )
    if not files:
        return InputPictures(images=torch.zeros(0, 3, *size), is_clip=False)
    loaded = read_images(files, size=size, max_frames=max_frames if clips else None)
    return InputPictures(images=loaded.images, is_clip=bool(clips))


def view_frames(inputs: InputPictures, at: Sequence[int], frames: int) -> list[int] | None:
    """The frame index of each picture: ``at`` if given, evenly spread for a video or folder, else None (the default).

    Raises:
        ValueError: if ``at`` does not hold one index per picture.
    """
    count = len(inputs.images)
    if at and len(at) != count:
        raise ValueError(
            f"--at expects one frame index per view: {count}, got {len(at)}; a video or folder counts with as many "
            "views as frames are taken from it."
        )
    if not at and inputs.is_clip:
        return evenly_spread(frames, count)
    return list(at) or None
