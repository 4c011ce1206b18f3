"""Which scenes of a collection are kept: thresholds on their numbers, and no two that look the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from gen3r.extras import Extra

IMAGE_HASH = Extra(name="data", modules=("imagehash",))

Verdict = Literal["accepted", "rejected", "duplicate", "removed", "unasked"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a scene must reach; None asks for nothing, and a number that cannot be measured reaches nothing.

    See `quality.Quality` for the numbers.
    """

    min_agreement: float | None = None
    """Share of comparable pixels whose depth other frames confirm, 0..1."""
    max_color_error: float | None = None
    """Mean difference of colour where frames see the same surface, 0..1."""
    min_motion: float | None = None
    """Shift from frame to frame, as a share of the diagonal."""
    min_valid: float | None = None
    """Share of pixels with depth, 0..1."""
    duplicate_bits: int | None = None
    """Scenes whose frames differ from those of an earlier one in at most so many of 64 bits are duplicates."""

    def __post_init__(self) -> None:
        for name in ("min_agreement", "max_color_error", "min_motion", "min_valid"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"expected {name} between 0 and 1, got {value}.")
        if self.duplicate_bits is not None:
            if not 0 <= self.duplicate_bits < 64:
                raise ValueError(f"expected duplicate_bits from 0 to 63, got {self.duplicate_bits}.")
            IMAGE_HASH.require("finding scenes that look the same")


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What becomes of a scene."""

    status: Verdict
    reason: str = ""
    same_as: str | None = None
    """The earlier scene that looks the same."""


def judge(records: Iterable[Mapping[str, Any]], limits: Limits) -> dict[str, Judgement]:
    """A judgement by name for each made.json; of scenes that look the same, the first one is accepted.

    Raises:
        ValueError: if duplicates are to be found and a scene was made without ImageHash.
    """
    from gen3r.jobs.scenes.likeness import Fingerprints

    judgements: dict[str, Judgement] = {}
    seen = Fingerprints()
    for record in records:
        name, marks = record["id"], record["fingerprint"]
        reason = "; ".join(_failings(record["quality"], limits))
        if reason:
            judgements[name] = Judgement(status="rejected", reason=reason)
            continue
        if limits.duplicate_bits is not None:
            if marks is None:
                raise ValueError(f"the scene {name} was made without ImageHash; delete it, and it will be made again.")
            nearest = seen.nearest(marks)
            if nearest is not None and nearest[1] <= limits.duplicate_bits:
                other, bits = nearest
                reason = f"looks like {other}: {bits} of 64 bits differ"
                judgements[name] = Judgement(status="duplicate", reason=reason, same_as=other)
                continue
            seen.add(name, marks)
        judgements[name] = Judgement(status="accepted")
    return judgements


def _failings(quality: Mapping[str, float | None], limits: Limits) -> list[str]:
    """What is not reached, or cannot be told: a scene without anything to compare is no good one."""
    found = []
    for field in fields(limits):
        bound, limit = field.name.partition("_")[::2], getattr(limits, field.name)
        if bound[0] not in _MISSES or limit is None:
            continue
        value = quality[bound[1]]
        asked = f"{_WORDS[bound[0]]} {limit:g} asked for"
        if value is None:
            found.append(f"{bound[1]} cannot be measured, {asked}")
        elif _MISSES[bound[0]](value, limit):
            found.append(f"{bound[1]} {value:.3g}, {asked}")
    return found


_MISSES: Mapping[str, Callable[[float, float], bool]] = {
    "min": lambda value, limit: value < limit,
    "max": lambda value, limit: value > limit,
}
_WORDS = {"min": "at least", "max": "at most"}
