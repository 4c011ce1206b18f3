"""The word after ``--cameras``."""

from pathlib import Path

import torch

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.trajectories import TRAJECTORIES
from gen3r.cli.terminal import say
from gen3r.mistakes import did_you_mean
from gen3r.scene.importing.cameras import find_cameras, read_any_cameras
from gen3r.scene.importing.track import DEFAULT_FOV_DEGREES, ReadOptions
from gen3r.scene.limits import evenly_spread

FREE = "free"


def check_cameras(word: str) -> None:
    """Whether ``word`` is a trajectory, ``free`` or holds cameras, before anything large is fetched or loaded.

    Raises:
        ValueError: if it is none of these, listing the trajectories or the kinds of files.
    """
    if word == FREE or word in TRAJECTORIES:
        return
    if not Path(word).exists():
        raise ValueError(
            f"--cameras expects a file or folder of cameras, free, or a trajectory, but {word!r} is neither a file nor "
            f"a trajectory;{did_you_mean(word, TRAJECTORIES)} the trajectories are {', '.join(sorted(TRAJECTORIES))}."
        )
    find_cameras(word)


def resolve_cameras(word: str, frames: int, fov_degrees: float = DEFAULT_FOV_DEGREES) -> Cameras | str:
    """A trajectory's name or ``free`` as it is; a file or folder of cameras as ``frames`` cameras.

    More cameras than frames are sampled evenly, first and last included, and that is said on stdout. A cameras.json
    that does not say which size its intrinsics are for is an official one: `OFFICIAL_SIZE`, whatever the views are.

    Args:
        word: name of a trajectory, ``free``, or a path that `find_cameras` knows.
        frames: length of the clip.
        fov_degrees: field of view of a trajectory file without intrinsics.

    Returns:
        Cameras with the first one as their world, float32: positions far from the origin lose no digits.

    Raises:
        ValueError: for a word that is none of these (listing the trajectories), an unusable file, or too few cameras.
    """
    check_cameras(word)
    if word == FREE or word in TRAJECTORIES:
        return word
    path = read_any_cameras(word, ReadOptions(fov_degrees=fov_degrees))
    count = path.shape[0]
    if count < frames:
        longest = max(1, (count - 1) // 4 * 4 + 1)
        raise ValueError(
            f"{word} holds {count} cameras for {frames} frames; give one per frame or use --frames {longest}."
        )
    if count > frames:
        say(f"{word} holds {count} cameras: {frames} of them, evenly spread, are used.")
    return path[evenly_spread(count, frames)].to(dtype=torch.float64).rebased().to(dtype=torch.float32)
