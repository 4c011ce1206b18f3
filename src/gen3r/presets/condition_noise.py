"""How training tells a model something slightly wrong, so that it bears with what people give it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConditionNoise:
    """How often conditions are wrong, and how far at most. What is to be made of them stays clean. Off by default.

    Every sample decides by itself, cameras and views apart. One thing goes wrong at a time, each of those listed as
    often as the others, with a strength drawn evenly between none and the largest (of ``scale`` evenly in the
    logarithm, smaller as often as larger). ``eval.robustness.perturbations`` has the names and the units.

    Raises:
        ValueError: on construction, for a probability outside [0, 1], strengths of 0 or less, or nothing to go wrong.
    """

    cameras: float = 0.0
    """Probability that the cameras of a sample are wrong."""
    camera_strengths: tuple[tuple[str, float], ...] = (
        ("focal", 20.0),
        ("principal-point", 10.0),
        ("rotation", 5.0),
        ("translation", 20.0),
        ("scale", 1.5),
    )
    """What goes wrong with cameras, and the largest strength. A model can only learn to bear with the scale of a path
    by following it less, so that one is kept small."""
    views: float = 0.0
    """Probability that the given views of a sample are spoiled, all of them alike."""
    view_strengths: tuple[tuple[str, float], ...] = (
        ("noise", 0.03),
        ("low-light", 2.0),
        ("jpeg", 90.0),
        ("defocus", 3.0),
        ("motion-blur", 6.0),
    )
    """What goes wrong with views, and the largest strength."""
    variants: int = 1
    """Spoiled versions of its views that every clip has where clips are encoded in advance."""

    def __post_init__(self) -> None:
        for name in ("cameras", "views"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"expected the probability of wrong {name} in [0, 1], got {getattr(self, name)}.")
        for rate, strengths in ((self.cameras, self.camera_strengths), (self.views, self.view_strengths)):
            if rate and not strengths:
                raise ValueError("expected something that can go wrong with a probability above 0, got nothing.")
            if any(largest <= 0 for _, largest in strengths):
                raise ValueError(f"expected largest strengths above 0, got {strengths}.")
        if self.variants < 1:
            raise ValueError(f"expected at least one spoiled version of the views, got {self.variants}.")


CLEAN = ConditionNoise()
"""Nothing goes wrong."""
