"""Where a clip is filmed from: smooth paths through free space that keep things in view."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.trajectories import look_at
from gen3r.data.synthetic.description import Description
from gen3r.data.synthetic.intersection import FAR, distances_along
from gen3r.data.synthetic.motions import MOTIONS, UP, Motion, View
from gen3r.data.synthetic.packed import PackedScene
from gen3r.data.synthetic.surface import first_hits

CLEARANCE = 0.3
"""Metres between the camera and anything solid."""
LOWEST = 0.35
"""Lowest camera height in metres."""
NEAREST = 0.45
"""Least depth in metres that any probe may see."""
TRIES = 60
"""Proposals to choose the best path from."""
ROUNDS = 20
"""How often to try again where none of them is clear."""
PATIENCE = 8
"""Acceptable paths to compare before the best is taken, unless one sees most things."""
CHECKED_POSES = 17
"""Poses along a path that must be clear, whatever the number of frames made from it."""
PROBES = 15
"""Rays along each image side of the first, middle and last pose."""
NEARLY_STATIC = 0.08
"""Share of clips that hardly move."""


@dataclass(frozen=True, kw_only=True)
class CameraPath:
    """A movement and a lens."""

    motion: Motion
    fov: float
    """Full field of view along the shorter image side, radians."""
    words: str
    """What the camera does, as a verb phrase."""
    seen: tuple[str, ...] = ()
    """Names of the things that the first, middle or last pose shows."""

    def poses(self, frames: int) -> Float[Tensor, "F 4 4"]:
        """World-from-camera poses, evenly spread in time: more frames sample the same movement more finely."""
        return look_at(*self.motion.at(torch.linspace(0, 1, frames)[:, None]), down=-UP)


def film(scene: Description, packed: PackedScene, seed: int) -> CameraPath:
    """The path of a scene: of some that are clear, one that sees many things.

    Raises:
        ValueError: if no proposal is clear, naming the seed: such a scene leaves no room for a camera.
    """
    chance = random.Random(seed * 7919 + 13)
    best: CameraPath | None = None
    for _ in range(ROUNDS):
        for attempt in range(TRIES):
            path = _propose(scene, chance)
            path = None if path is None else _checked(scene, packed, path)
            if path is None:
                continue
            if best is None or len(path.seen) > len(best.seen):
                best = path
            if attempt > PATIENCE and len(best.seen) >= 0.6 * len(set(scene.things)):
                break
        if best is not None:
            return best
    raise ValueError(
        f"expected room for a camera in the scene of seed {seed}, found no clear path in {ROUNDS * TRIES} proposals; "
        "use another seed."
    )


def _propose(scene: Description, chance: random.Random) -> CameraPath | None:
    kind = chance.choice(MOTIONS)
    sign = chance.choice([-1, 1])
    static = chance.random() < NEARLY_STATIC
    amount = chance.uniform(0.02, 0.1) if static else chance.uniform(0.5, 1.0)
    eye, target = _view_point(scene, chance)
    view = View(eye=eye, target=target, is_room=scene.is_room)
    fov = math.radians(chance.uniform(52, 75) if scene.is_room else chance.uniform(46, 64))
    if view.reach < (2.3 if scene.is_room else 3.0):
        return None
    words = "hardly moves" if static else kind.forth if sign > 0 else kind.back
    return CameraPath(motion=kind(view, amount * sign, chance), fov=fov, words=words)


def _view_point(scene: Description, chance: random.Random) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """An eye, and something to look at between one thing and the middle of all things."""
    spots = scene.footprints or [(0.0, 0.0, 0.5)]
    x, z, _ = chance.choice(spots)
    middle_x = sum(spot[0] for spot in spots) / len(spots)
    middle_z = sum(spot[1] for spot in spots) / len(spots)
    height = chance.uniform(0.4, 0.8) if scene.is_room else chance.uniform(0.6, 1.1)
    target = torch.tensor([(x + middle_x) / 2, height, (z + middle_z) / 2])
    if scene.is_room:
        half_x, _, half_z = scene.half_extent
        eye = [
            chance.uniform(-1, 1) * (half_x - 0.45),
            chance.uniform(0.9, 1.75),
            chance.uniform(-1, 1) * (half_z - 0.45),
        ]
    else:
        angle, away = chance.uniform(0, 2 * math.pi), chance.uniform(4.2, 6.5)
        eye = [away * math.cos(angle), chance.uniform(0.9, 2.6), away * math.sin(angle)]
    return torch.tensor(eye), target


def _checked(scene: Description, packed: PackedScene, path: CameraPath) -> CameraPath | None:
    """The path with what it sees; None if something touches the camera or a near surface fills the picture."""
    poses = path.poses(CHECKED_POSES)
    eyes = poses[:, :3, 3].T
    if float(eyes[1].min()) < LOWEST:
        return None
    if float(distances_along(packed, eyes, torch.zeros_like(eyes), (0.0,))[0].min()) < CLEARANCE:
        return None
    side = torch.linspace(-0.9, 0.9, PROBES) * math.tan(path.fov / 2)
    y, x = torch.meshgrid(side, side, indexing="ij")
    rays = torch.stack((x, y, torch.ones_like(x))).reshape(3, -1)
    looks = [poses[index] for index in (0, CHECKED_POSES // 2, -1)]
    origins = torch.cat([pose[:3, 3:].expand_as(rays) for pose in looks], dim=1)
    directions = torch.cat([pose[:3, :3] @ rays for pose in looks], dim=1)
    hits = first_hits(packed, origins, directions)
    depth = hits.t.clamp_max(FAR).view(len(looks), -1)
    typical = depth.quantile(0.3, dim=1)
    if float(depth.min()) < NEAREST or float(typical.min()) < (1.3 if scene.is_room else 1.8):
        return None
    things = packed.thing[hits.solid[~hits.around & (hits.t < FAR / 2)]].unique().tolist()
    seen = tuple(dict.fromkeys(scene.things[thing] for thing in things if thing >= 0))
    return replace(path, seen=seen)
