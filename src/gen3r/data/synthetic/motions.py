"""How a camera can move: smooth functions of time in 0..1, scaled to how far it is from what it looks at."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

UP = torch.tensor([0.0, 1.0, 0.0])


@dataclass(frozen=True, kw_only=True)
class View:
    """Where a movement starts. Metres, y up."""

    eye: Float[Tensor, " 3"]
    target: Float[Tensor, " 3"]
    """What the first frame looks at."""
    is_room: bool

    @property
    def reach(self) -> float:
        """Distance from eye to target."""
        return float((self.target - self.eye).norm())

    @property
    def forward(self) -> Float[Tensor, " 3"]:
        """Unit direction of sight."""
        return (self.target - self.eye) / self.reach

    @property
    def right(self) -> Float[Tensor, " 3"]:
        """Unit direction to the right, level."""
        right = torch.linalg.cross(self.forward, UP)
        return right / right.norm()


class Motion(ABC):
    """A kind of movement. ``amount`` is 0..1 of its full extent, its sign the direction."""

    forth: str
    """Verb phrase for a positive amount."""
    back: str
    """Verb phrase for a negative amount."""

    def __init__(self, view: View, amount: float, chance: random.Random) -> None:
        self.view = view
        self.amount = amount

    @abstractmethod
    def at(self, time: Float[Tensor, "F 1"]) -> tuple[Float[Tensor, "F 3"], Float[Tensor, "F 3"]]:
        """Eyes and targets at times in 0..1."""

    def _still(self, point: Float[Tensor, " 3"], time: Float[Tensor, "F 1"]) -> Float[Tensor, "F 3"]:
        return point.expand(len(time), 3)


class Orbit(Motion):
    """Around the target, at constant height and distance, up to 32 degrees."""

    forth, back = "orbits right", "orbits left"

    def at(self, time: Float[Tensor, "F 1"]) -> tuple[Tensor, Tensor]:
        angle = time * self.amount * 0.55
        x, y, z = self.view.eye - self.view.target
        cosine, sine = angle.cos(), angle.sin()
        around = torch.cat((cosine * x + sine * z, y.expand_as(angle), cosine * z - sine * x), dim=1)
        return self.view.target + around, self._still(self.view.target, time)


class Dolly(Motion):
    """Towards the target or away from it, up to a third of the distance."""

    forth, back = "moves forward", "moves backward"

    def at(self, time: Float[Tensor, "F 1"]) -> tuple[Tensor, Tensor]:
        shift = self.view.forward * time * self.amount * self.view.reach * 0.32
        return self.view.eye + shift, self._still(self.view.target, time)


class Truck(Motion):
    """Sideways without turning."""

    forth, back = "slides right", "slides left"

    def at(self, time: Float[Tensor, "F 1"]) -> tuple[Tensor, Tensor]:
        shift = self.view.right * time * self.amount * self.view.reach * 0.3
        return self.view.eye + shift, self.view.target + shift


class Rise(Motion):
    """Up or down, looking at the target."""

    forth, back = "rises", "descends"

    def at(self, time: Float[Tensor, "F 1"]) -> tuple[Tensor, Tensor]:
        shift = UP * time * self.amount * (0.7 if self.view.is_room else 1.4)
        return self.view.eye + shift, self._still(self.view.target, time)


class Pan(Motion):
    """Turns on the spot."""

    forth, back = "pans right", "pans left"

    def at(self, time: Float[Tensor, "F 1"]) -> tuple[Tensor, Tensor]:
        shift = self.view.right * time * self.amount * self.view.reach * 0.7
        return self._still(self.view.eye, time), self.view.target + shift


class Drift(Motion):
    """Along a random cubic Bezier curve, the sight drifting too."""

    forth, back = "drifts along a curve", "drifts along a curve"

    def __init__(self, view: View, amount: float, chance: random.Random) -> None:
        super().__init__(view, amount, chance)
        keys = torch.tensor([[chance.gauss(0, 1) for _ in range(3)] for _ in range(4)])
        keys = keys * torch.tensor([1.0, 0.5, 1.0]) * (view.reach * 0.2 * abs(amount))
        keys[0] = 0
        self.keys = keys

    def at(self, time: Float[Tensor, "F 1"]) -> tuple[Tensor, Tensor]:
        rest = 1 - time
        bernstein = torch.cat((rest**3, 3 * time * rest**2, 3 * time**2 * rest, time**3), dim=1)
        sight = (self.keys.flip(0) - self.keys[-1]) * 0.3
        return self.view.eye + bernstein @ self.keys, self.view.target + bernstein @ sight


MOTIONS: tuple[type[Motion], ...] = (Orbit, Orbit, Dolly, Truck, Pan, Drift, Rise)
"""Drawn from with equal chances."""
