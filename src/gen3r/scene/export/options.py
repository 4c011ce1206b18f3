"""What a user may choose about exported files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CleaningLevel = Literal["none", "light", "standard", "strong"]
"""The names of `scene.cleaning.CLEANING_LEVELS`."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Choices that several formats share. The defaults suit predicted depth."""

    clean: CleaningLevel = "standard"
    """How hard floating points are removed before clouds, splats and meshes are made."""
    max_points: int | Literal["auto"] | None = "auto"
    """Points of a cloud at most, chosen evenly over space, the confident ones first. None keeps all, "auto" what suits
    the format."""
    max_faces: int | None = 200_000
    """Triangles of a mesh at most. None keeps all."""

    def __post_init__(self) -> None:
        for name in ("max_points", "max_faces"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name} must be at least 1, or None for no limit; got {value}.")

    def points_at_most(self, usual: int = 2_000_000) -> int | None:
        """The limit of a format whose own is `usual`; None for no limit."""
        return usual if self.max_points == "auto" else self.max_points
