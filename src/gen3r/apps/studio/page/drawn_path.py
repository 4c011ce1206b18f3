"""A path that somebody drew on the map: checked, made smooth, and written as camera conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.convention import invert_se3, rigid
from gen3r.cameras.trajectories import look_at, spline_through
from gen3r.scene.camera_files import CONVENTION

MOST_KEYS = 12
"""Key cameras after the first one."""
REACH = 3.0
"""Farthest key camera along each axis, in distances to the subject."""
LOOKS = {"subject": "at the subject", "ahead": "straight ahead", "along": "along the path"}
"""Where the cameras look: name and words."""
FOV = math.radians(60)
"""Field of view (vertical and horizontal) of a drawn path."""
_SIZE = 512
_SUBJECT = (0.0, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class DrawnPath:
    """Key cameras in distances to the subject, which is one unit before the photo's camera."""

    keys: tuple[tuple[float, float, float], ...]
    """(right, up, forward) of every key camera after the photo's own, which is (0, 0, 0)."""
    look: str = "subject"
    """A name of `LOOKS`."""

    @classmethod
    def from_page(cls, value: Any) -> DrawnPath:
        """Read what the page sends.

        Raises:
            ValueError: for anything else than up to `MOST_KEYS` keys of three finite numbers within `REACH`, and a
                name of `LOOKS`.
        """
        value = {} if value is None else value
        keys, look = (value.get("keys", []), value.get("look", "subject")) if isinstance(value, dict) else (None, None)
        if not isinstance(keys, list) or look not in list(LOOKS):
            raise ValueError("expected a drawn path with keys and a look, got something else; draw the path again.")
        if len(keys) > MOST_KEYS:
            raise ValueError(f"expected at most {MOST_KEYS} key cameras, got {len(keys)}; remove some.")
        for number, key in enumerate(keys, start=1):
            fits = isinstance(key, list) and len(key) == 3 and all(type(x) in (int, float) for x in key)
            if not fits or not all(math.isfinite(x) and abs(x) <= REACH for x in key):
                raise ValueError(
                    f"expected three numbers between -{REACH:g} and {REACH:g} for camera {number}, got something else; "
                    "correct it in the table."
                )
        return cls(keys=tuple((float(right), float(up), float(ahead)) for right, up, ahead in keys), look=look)

    def poses(self, frames: int) -> Float[Tensor, "F 4 4"]:
        """World-from-camera poses of the smooth path, float64; the first is the identity, the photo's camera.

        Raises:
            ValueError: for a path without key cameras, or one that stands where it should look.
        """
        if not self.keys:
            raise ValueError(
                "expected at least one key camera besides the photo's, got none; click on the map to add one."
            )
        centers = torch.tensor([(0.0, 0.0, 0.0), *((right, -up, ahead) for right, up, ahead in self.keys)]).double()
        return spline_through(self._key_poses(centers), frames)

    def _key_poses(self, centers: Float[Tensor, "K 3"]) -> Float[Tensor, "K 4 4"]:
        straight = rigid(torch.eye(3, dtype=centers.dtype).expand(len(centers), 3, 3), centers)
        if self.look == "ahead":
            return straight
        if self.look == "subject":
            targets = centers.new_tensor(_SUBJECT).expand_as(centers)[1:]
        else:
            steps = centers[2:] - centers[:-2]
            targets = centers[1:] + torch.cat([steps, centers[-1:] - centers[-2:-1]])
        sight = targets - centers[1:]
        level = sight[:, [0, 2]].norm(dim=-1)
        if bool((level < 0.02 + 0.05 * sight[:, 1].abs()).any()):
            raise ValueError(
                "expected every key camera beside what it looks at, but one stands on it, above or below it; move it."
            )
        return torch.cat([straight[:1], look_at(centers[1:], targets)])

    def record(self, frames: int) -> dict[str, Any]:
        """The path as the content of a cameras.json: `frames` cameras of a square picture."""
        cameras = Cameras.from_fov(invert_se3(self.poses(frames)), FOV, _SIZE, _SIZE)
        return {
            "convention": CONVENTION,
            "height": _SIZE,
            "width": _SIZE,
            "extrinsics": cameras.extrinsics.tolist(),
            "intrinsics": cameras.intrinsics.tolist(),
        }


def map_cameras(poses: Float[Tensor, "F 4 4"]) -> list[list[float]]:
    """What the map draws of each pose: [right, forward, right of its direction, forward of its direction]."""
    rows = torch.cat([poses[:, [0, 2], 3], poses[:, [0, 2], 2]], dim=-1)
    return [[round(value, 4) for value in row] for row in rows.tolist()]
