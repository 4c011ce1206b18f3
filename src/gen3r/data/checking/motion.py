"""Whether cameras move smoothly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gen3r.cameras import Cameras
from gen3r.data.checking.thresholds import CheckThresholds

_WINDOW = 4
"""Steps before and after that say what is typical."""
_LEAST_SHARE = 0.005
"""Of the extent of the path: steps shorter than this are noise, whatever the others are."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How cameras move from frame to frame."""

    steps: Float64[np.ndarray, " n"]
    """Distance in the unit of the poses."""
    turns: Float64[np.ndarray, " n"]
    """Degrees."""
    extent: float
    """Diagonal of the box around all camera centres."""

    @classmethod
    def of(cls, cameras: Cameras) -> Motion:
        """Of cameras ``[F]``."""
        poses = cameras.world_from_camera.double().numpy()
        centers, rotations = poses[:, :3, 3], poses[:, :3, :3]
        relative = np.swapaxes(rotations[:-1], 1, 2) @ rotations[1:]
        skew = relative - np.swapaxes(relative, 1, 2)
        sines = np.sqrt(skew[:, 2, 1] ** 2 + skew[:, 0, 2] ** 2 + skew[:, 1, 0] ** 2) / 2
        cosines = (np.trace(relative, axis1=1, axis2=2) - 1) / 2
        return cls(
            steps=np.linalg.norm(np.diff(centers, axis=0), axis=1),
            turns=np.degrees(np.arctan2(sines, cosines)),
            extent=float(np.linalg.norm(np.ptp(centers, axis=0))),
        )

    @property
    def is_still(self) -> bool:
        """Whether the camera neither moves nor turns beyond what rounding does."""
        return self.extent == 0 and float(self.turns.max(initial=0)) < 0.05


def jumps(motion: Motion, limits: CheckThresholds) -> list[str]:
    """Where cameras jump, in words.

    A step is compared with the median of its neighbours and of the whole clip, whichever is larger, so that starting,
    stopping and slowing down are no jumps.
    """
    least = _LEAST_SHARE * motion.extent
    far = motion.steps / np.maximum(_typical(motion.steps), max(least, 1e-12))
    turned = motion.turns / np.maximum(_typical(motion.turns), 1e-3)
    found = [
        f"between frames {i} and {i + 1} the camera moves {far[i]:.0f} times as far as it typically does"
        for i in np.flatnonzero(far > limits.step_factor)
    ]
    suspicious = (turned > limits.turn_factor) & (motion.turns > limits.least_turn)
    found += [
        f"between frames {i} and {i + 1} the camera turns by {motion.turns[i]:.0f} degrees"
        for i in np.flatnonzero(suspicious | (motion.turns > limits.most_turn))
    ]
    return found


def _typical(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    if not len(values):
        return values
    around = [
        np.median(np.concatenate([values[max(0, i - _WINDOW) : i], values[i + 1 : i + 1 + _WINDOW], values[i : i + 1]]))
        for i in range(len(values))
    ]
    return np.maximum(np.array(around), np.median(values))
