"""When a clip counts as bad."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CheckThresholds:
    """Limits of what passes.

    Chosen on synthetic clips, with and without faults, and on photos and a video; docs/datasets_format.md has the
    numbers.
    """

    least_frames: int = 16
    """Clips with fewer are bad."""
    usual_frames: int = 49
    """Clips with fewer are noted: training repeats their ends."""
    least_sharpness: float = 0.5
    """Of the median frame, see `pictures.sharpness`: a Gaussian blur of about 1/250 of the shorter side."""
    least_change: float = 1.0
    """Grey levels (of 255) that some frame differs from the first on average, at 64 pixels."""
    step_factor: float = 10.0
    """A camera jumps where it moves this many times as far as it typically does."""
    turn_factor: float = 10.0
    """A camera jumps where it turns this many times as much as it typically does, and more than ``least_turn``."""
    least_turn: float = 10.0
    """Degrees between two frames that are never a jump."""
    most_turn: float = 60.0
    """Degrees between two frames that always are a jump."""
    depth_error: float = 0.05
    """Median of |z - depth| / depth of pixels seen from another frame."""
    match_error: float = 3.0
    """Pixels at 640 columns or rows: median distance of matched points to where the cameras allow them."""
    least_in_front: float = 0.5
    """Share of matched points that must lie in front of both cameras."""
    better: float = 2.5
    """Cameras are bad if those of another convention fit this many times better, see `alternatives`."""

    def __post_init__(self) -> None:
        wrong = {name: value for name, value in vars(self).items() if not value >= 0}
        if wrong:
            raise ValueError(f"thresholds must be 0 or more, got {wrong}.")
