"""What is measured: the clean run, and every perturbation at each of its strengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.robustness.perturbations.base import CameraPerturbation, Perturbation, ViewPerturbation
from gen3r.train.rng import generator

CLEAN = "clean"
"""Row of the run in which nothing is wrong."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A perturbation at one strength."""

    name: str
    """Of the perturbation."""
    perturbation: Perturbation
    """What goes wrong."""
    strength: float
    """How far."""

    @property
    def row(self) -> str:
        """Key of its row: "rotation@3"."""
        return f"{self.name}@{self.strength:g}"

    @property
    def title(self) -> str:
        """What its row shows."""
        return f"{self.perturbation.title}, {self.perturbation.label(self.strength)}"

    def told(self, truth: Truth, at: Sequence[int]) -> Truth:
        """The clip as the model is told of it: other cameras, or other pictures at the frames ``at``.

        What is random depends on the clip and on the perturbation, not on its strength: a curve is one disturbance
        that grows. Only to generate from; scenes are compared with the truth itself.
        """
        rng = generator("robustness", self.name, truth.seed)
        if isinstance(self.perturbation, CameraPerturbation):
            return replace(truth, cameras=self.perturbation(truth.cameras, self.strength, rng))
        assert isinstance(self.perturbation, ViewPerturbation)
        video = truth.video.clone()
        video[list(at)] = self.perturbation(truth.video[list(at)], self.strength, rng)
        return replace(truth, video=video)


def cases_of(perturbations: Mapping[str, Perturbation]) -> tuple[Case, ...]:
    """Every perturbation at every strength that changes something, in order."""
    return tuple(
        Case(name=name, perturbation=perturbation, strength=strength)
        for name, perturbation in perturbations.items()
        for strength in perturbation.measured
    )
