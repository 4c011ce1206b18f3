"""What a perturbation is."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3r.cameras.cameras import Cameras


@dataclass(frozen=True, kw_only=True)
class Perturbation(ABC):
    """One way to go wrong. Its identity strength changes nothing at all; random numbers do not depend on strength."""

    title: str
    """What goes wrong, for tables and plots."""
    unit: str
    """Unit of the strength, as it stands behind the number."""
    strengths: tuple[float, ...]
    """What is measured, from weak to strong (for ``identity`` 1: from small to large)."""
    identity: float = 0.0
    """The strength that changes nothing."""

    @property
    def measured(self) -> tuple[float, ...]:
        """The strengths that change something."""
        return tuple(strength for strength in self.strengths if strength != self.identity)

    def between(self, share: float, largest: float) -> float:
        """The strength at ``share`` in [0, 1) of the way to ``largest``, for training; see ``identity``.

        Evenly from 0 on; where 1 changes nothing, evenly in the logarithm from 1 / ``largest`` to ``largest``.
        """
        return largest * share if self.identity == 0.0 else largest ** (2 * share - 1)

    @property
    def axis(self) -> str:
        """What a plot over the strength says below it."""
        return self.unit.strip() or "factor"

    def label(self, strength: float) -> str:
        """The strength with its unit."""
        return f"x{strength:g}" if self.identity == 1.0 else f"{strength:g}{self.unit}"


@dataclass(frozen=True, kw_only=True)
class CameraPerturbation(Perturbation):
    """Changes the cameras that are asked for."""

    change: Callable[[Cameras, float, torch.Generator], Cameras]
    """Cameras ``[F]``, on any device, in any unit and world."""

    def __call__(self, cameras: Cameras, strength: float, rng: torch.Generator) -> Cameras:
        """Other cameras for the same frames; the very same at the identity strength."""
        return cameras if strength == self.identity else self.change(cameras, strength, rng)


@dataclass(frozen=True, kw_only=True)
class ViewPerturbation(Perturbation):
    """Changes the pictures that are given."""

    change: Callable[[Tensor, float, torch.Generator], Tensor]
    """Pictures ``[V, 3, H, W]``, sRGB in [0, 1], on any device."""

    def __call__(
        self, pictures: Float[Tensor, "V 3 H W"], strength: float, rng: torch.Generator
    ) -> Float[Tensor, "V 3 H W"]:
        """Pictures in [0, 1] of the same size; the very same at the identity strength."""
        if strength == self.identity or not len(pictures):
            return pictures
        return self.change(pictures, strength, rng).clamp(0, 1).to(pictures)
