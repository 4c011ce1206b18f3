"""Frames of pictures whose cameras are to be found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gen3r.data.converters.pictures import PictureSource
from gen3r.data.converting.raw import ConvertOptions, PoseEstimator, RawFrame, UnusableScene

MIN_PICTURES = 2
"""One picture has no camera relative to another."""


def pose_estimator(options: ConvertOptions) -> PoseEstimator:
    """How cameras are found; `ValueError` naming the ways if the user did not say."""
    if options.poses is None:
        raise ValueError(
            "pictures and videos have no cameras: choose who finds them, --poses vggt (a network; --model says which) "
            "or --poses pycolmap (structure from motion; slower, exact where pictures have texture and overlap)."
        )
    return options.poses


def posed_frames(
    files: Sequence[Path],
    pictures: Sequence[PictureSource],
    times: Sequence[float | None],
    poses: PoseEstimator,
) -> tuple[tuple[RawFrame, ...], tuple[str, ...]]:
    """Frames for which a camera was found, and a note on the others.

    Args:
        files: what the estimator sees.
        pictures: what becomes of each as a frame: upright, with pixels as the estimator sees them.
        times: seconds of each, where known.
        poses: finds cameras.

    Raises:
        UnusableScene: if fewer than two find a place.
    """
    if len(files) < MIN_PICTURES:
        raise UnusableScene(f"expected at least {MIN_PICTURES} pictures to find cameras from, got {len(files)}.")
    frames = tuple(
        RawFrame(picture=picture, camera=camera, time=time)
        for picture, time, camera in zip(pictures, times, poses(tuple(files)), strict=True)
        if camera is not None
    )
    if len(frames) < MIN_PICTURES:
        raise UnusableScene(f"cameras were found for {len(frames)} of {len(files)} pictures only.")
    lost = len(files) - len(frames)
    return frames, ((f"{lost} of {len(files)} frames left out: no camera was found for them",) if lost else ())
