"""Camera paths by name, and smooth paths through key poses.

A path is world-from-camera poses [F, 4, 4] that start at the identity: the world is the first camera. ``scale`` is the
distance to what the first camera looks at, so that the same name does the same in a small room and in a square.

The six official names are aliases. Only the two zooms move the camera: the official "arc" turns it in place, as a pan
does, and the official "translate" nods it, as a tilt does. For a camera that travels take orbit, truck or pedestal.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.convention import rigid

Path = Callable[[Tensor, float], Tensor]
"""(progress [F] in units of the whole path, scale) -> world-from-camera [F, 4, 4]."""

TURN = math.radians(15)
"""Largest angle of pans and tilts, as in the official paths."""
ORBIT = math.radians(30)
"""Angle of an orbit around the point at distance ``scale``."""
SIDEWAYS = 0.3
"""Length of trucks and pedestals in units of ``scale``."""
SPIRAL_RADIUS = 0.15
"""Radius of the spiral in units of ``scale``."""


def yaw(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation about the y axis; a positive angle (radians) turns a camera to its right."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c], dim=-1).unflatten(-1, (3, 3))


def pitch(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation about the x axis; a positive angle (radians) turns a camera upwards."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([one, zero, zero, zero, c, -s, zero, s, c], dim=-1).unflatten(-1, (3, 3))


def look_at(
    centers: Float[Tensor, "*b 3"], target: Float[Tensor, "*#b 3"], down: Float[Tensor, "3"] | None = None
) -> Float[Tensor, "*b 4 4"]:
    """World-from-camera poses at ``centers`` that look at ``target``.

    Args:
        centers: camera centres.
        target: where to look; must not be a centre, nor straight above or below one.
        down: the world direction that is down in the image, +y if left out.
    """
    if down is None:
        down = centers.new_tensor([0.0, 1.0, 0.0])
    forward = torch.nn.functional.normalize(target - centers, dim=-1)
    right = torch.nn.functional.normalize(torch.linalg.cross(down.expand_as(forward), forward, dim=-1), dim=-1)
    return rigid(torch.stack([right, torch.linalg.cross(forward, right, dim=-1), forward], dim=-1), centers)


def _move(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Path:
    def path(progress: Tensor, scale: float) -> Tensor:
        eye = torch.eye(3, dtype=progress.dtype, device=progress.device).expand(len(progress), 3, 3)
        return rigid(eye, progress[:, None] * progress.new_tensor([x, y, z]) * scale)

    return path


def _turn(rotate: Callable[[Tensor], Tensor], angle: float) -> Path:
    def path(progress: Tensor, scale: float) -> Tensor:
        return rigid(rotate(progress * angle), progress.new_zeros(len(progress), 3))

    return path


def _orbit(angle: float) -> Path:
    def path(progress: Tensor, scale: float) -> Tensor:
        rotation = yaw(-progress * angle)
        target = progress.new_tensor([0.0, 0.0, scale])
        return rigid(rotation, target - scale * rotation[..., 2])

    return path


def _spiral(progress: Tensor, scale: float) -> Tensor:
    angle, radius = 2 * math.pi * progress, SPIRAL_RADIUS * scale
    centers = torch.stack([angle.sin(), angle.cos() - 1, progress], dim=-1) * radius
    return look_at(centers, progress.new_tensor([0.0, 0.0, scale]))


TRAJECTORIES: dict[str, Path] = {
    "free": _move(),
    "orbit_right": _orbit(ORBIT),
    "orbit_left": _orbit(-ORBIT),
    "dolly_in": _move(z=1.0),
    "dolly_out": _move(z=-1.0),
    "truck_right": _move(x=SIDEWAYS),
    "truck_left": _move(x=-SIDEWAYS),
    "pedestal_up": _move(y=-SIDEWAYS),
    "pedestal_down": _move(y=SIDEWAYS),
    "pan_right": _turn(yaw, TURN),
    "pan_left": _turn(yaw, -TURN),
    "tilt_up": _turn(pitch, TURN),
    "tilt_down": _turn(pitch, -TURN),
    "spiral": _spiral,
}
"""Paths by name. ``free`` stays put: conditioning takes it as "no cameras given"."""

OFFICIAL_ALIASES = {
    "zoom_in": "dolly_in",
    "zoom_out": "dolly_out",
    "arc_right": "pan_right",
    "arc_left": "pan_left",
    "translate_up": "tilt_up",
    "translate_down": "tilt_down",
}
"""Official name to what it really is."""

SHORT_ALIASES = {
    "orbit": "orbit_right",
    "dolly": "dolly_in",
    "truck": "truck_right",
    "pedestal": "pedestal_up",
    "pan": "pan_right",
    "tilt": "tilt_up",
}
"""A film term without a direction, and the direction taken."""

TRAJECTORIES |= {alias: TRAJECTORIES[name] for alias, name in (OFFICIAL_ALIASES | SHORT_ALIASES).items()}


def trajectory(
    name: str,
    frames: int,
    scale: float = 1.0,
    amount: float = 1.0,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "F 4 4"]:
    """World-from-camera poses of a named path, linear in the frame, the first exactly identity.

    Args:
        name: a key of `TRAJECTORIES`.
        frames: number of poses.
        scale: distance to what the first camera looks at, scene units; see `alignment.trajectory_scale`.
        amount: how much of the path to go: 0.5 half of it, -1 the other way round.
        device: of the result.
        dtype: of the result; computed in float64.

    Raises:
        ValueError: for an unknown name, listing the known ones, or fewer than one frame.
    """
    if name not in TRAJECTORIES:
        raise ValueError(f"unknown trajectory {name!r}; known: {', '.join(sorted(TRAJECTORIES))}.")
    if frames < 1:
        raise ValueError(f"a trajectory needs at least one frame, got {frames}.")
    progress = torch.linspace(0.0, 1.0, frames, dtype=torch.float64) * amount
    return TRAJECTORIES[name](progress, scale).to(device=device, dtype=dtype)


def spline_through(
    key_poses: Float[Tensor, "K 4 4"], frames: int, times: Float[Tensor, "K"] | None = None
) -> Float[Tensor, "F 4 4"]:
    """A smooth path through world-from-camera key poses: natural cubic centres, cubic rotation spline.

    Both have continuous velocity and acceleration. The first and last poses are the first and last keys.

    Args:
        key_poses: at least one; with one the camera stays, with two it moves evenly.
        frames: number of poses of the path, spaced evenly in time.
        times: increasing times of the keys, any unit; evenly spaced if left out.

    Raises:
        ValueError: for no key, fewer than one frame, or times that do not increase.
    """
    import numpy as np
    from scipy.interpolate import CubicSpline
    from scipy.spatial.transform import Rotation, RotationSpline

    keys = len(key_poses)
    if keys < 1 or frames < 1:
        raise ValueError(f"a path needs at least one key pose and one frame, got {keys} and {frames}.")
    if keys == 1:
        return key_poses.expand(frames, 4, 4).clone()
    at: Any = np.arange(keys, dtype=np.float64) if times is None else times.detach().cpu().double().numpy()
    if not np.all(np.diff(at) > 0):
        raise ValueError(f"the times of key poses must increase, got {at.tolist()}.")
    poses = key_poses.detach().cpu().double().numpy()
    when = np.linspace(at[0], at[-1], frames)
    centers = CubicSpline(at, poses[:, :3, 3], bc_type="natural")(when)
    rotations = RotationSpline(at, Rotation.from_matrix(poses[:, :3, :3]))(when).as_matrix()
    path = rigid(torch.from_numpy(rotations), torch.from_numpy(centers))
    return path.to(device=key_poses.device, dtype=key_poses.dtype)
