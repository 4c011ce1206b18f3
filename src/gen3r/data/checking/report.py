"""What was found out about a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Reason = Literal[
    "unreadable",
    "wrong size",
    "too few frames",
    "blurred",
    "static",
    "cameras jump",
    "depth disagrees",
    "cameras disagree",
    "damaged shard",
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a clip is bad."""

    reason: Reason
    """The kind of fault."""
    detail: str
    """Where, how much, and what was expected."""


@dataclass(frozen=True, kw_only=True)
class ClipReport:
    """What was found out about one clip."""

    clip: str
    """Its name."""
    faults: tuple[Fault, ...] = ()
    """Why it is bad; none if it is good."""
    notes: tuple[str, ...] = ()
    """What is worth knowing of a clip that may be good."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What was measured, by name, whatever the limits."""

    def to_record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ClipReport:
        """Back from JSON."""
        return cls(
            clip=record["clip"],
            faults=tuple(Fault(**fault) for fault in record["faults"]),
            notes=tuple(record["notes"]),
            measures=dict(record["measures"]),
        )
