"""The word after ``--cameras``."""

from pathlib import Path

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.trajectories import TRAJECTORIES
from gen3r.cli.terminal import say
from gen3r.scene.camera_files import OFFICIAL_SIZE, read_cameras
from gen3r.scene.limits import evenly_spread

FREE = "free"


def check_cameras(word: str) -> None:
    """Whether ``word`` is a trajectory, ``free`` or a file, before anything large is fetched or loaded.

    Raises:
        ValueError: if it is none of these, listing the trajectories.
    """
    if word != FREE and word not in TRAJECTORIES and not Path(word).is_file():
        raise ValueError(
            f"--cameras expects a cameras.json, free, or a trajectory, but {word!r} is neither a file nor a "
            f"trajectory; the trajectories are {', '.join(sorted(TRAJECTORIES))}."
        )


def resolve_cameras(word: str, frames: int) -> Cameras | str:
    """A trajectory's name or ``free`` as it is; a camera file as ``frames`` cameras.

    A file with more cameras than frames is sampled evenly, first and last included, and that is said on stdout. A file
    that does not say which size its intrinsics are for is an official one: `OFFICIAL_SIZE`, whatever the views are.

    Args:
        word: name of a trajectory, ``free``, or the path of a camera file.
        frames: length of the clip.

    Raises:
        ValueError: for a word that is none of these (listing the trajectories), an unusable file, or too few cameras.
    """
    check_cameras(word)
    if word == FREE or word in TRAJECTORIES:
        return word
    path = read_cameras(word, size=OFFICIAL_SIZE)
    count = path.shape[0]
    if count < frames:
        longest = max(1, (count - 1) // 4 * 4 + 1)
        raise ValueError(
            f"{word} holds {count} cameras for {frames} frames; give one per frame or use --frames {longest}."
        )
    if count > frames:
        say(f"{word} holds {count} cameras: {frames} of them, evenly spread, are used.")
    return path[evenly_spread(count, frames)]
