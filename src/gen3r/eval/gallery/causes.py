"""What may have caused a bad clip: the property that sets it apart, if that goes with the error over all clips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import spearmanr

from gen3r.eval.gallery.properties import PROPERTIES

EXTREME = 0.8
"""A cause sets a clip apart from at least this share of all clips."""
CLEAR = 0.2
"""A property goes with the error from this rank correlation on; with few clips from a higher one, see `clear_from`."""
FEWEST = 8
"""With fewer clips than this, nothing is said to go with anything."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One end of a property."""

    name: str
    """In words."""
    prop: str
    """Key of the property."""
    high: bool
    """Whether large values are meant."""


CAUSES = (
    Cause(name="large turn", prop="turn", high=True),
    Cause(name="long way", prop="travel", high=True),
    Cause(name="little overlap", prop="unseen", high=True),
    Cause(name="much sky", prop="sky", high=True),
    Cause(name="close to a surface", prop="nearness", high=False),
    Cause(name="near and far together", prop="relief", high=True),
    Cause(name="low texture", prop="texture", high=False),
    Cause(name="fine texture", prop="texture", high=True),
    Cause(name="dark", prop="brightness", high=False),
    Cause(name="wrong scale", prop="scale", high=True),
    Cause(name="frozen camera", prop="liveliness", high=False),
)
"""What is looked for."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A cause, for one clip."""

    cause: Cause
    """Which."""
    value: float
    """Of the property."""
    percentile: float
    """Share of the other clips that are less extreme; equal ones count half."""
    correlation: float
    """Rank correlation (Spearman) of the property, towards this end, with the error over all clips; NaN if there is
    none."""
    clips: int
    """Number of clips that have the property."""

    @property
    def is_clear(self) -> bool:
        """Whether the clip is extreme and such clips are worse in general."""
        return self.percentile >= EXTREME and self.correlation >= clear_from(self.clips)

    def text(self) -> str:
        """In words, with the numbers."""
        value = PROPERTIES[self.cause.prop].written(self.value)
        correlation = "not known" if math.isnan(self.correlation) else f"{self.correlation:+.2f}"
        return (
            f"{self.cause.name} ({value}; beyond {100 * self.percentile:.0f} % of the clips; correlation {correlation})"
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is said about one clip."""

    cause: Finding | None
    """The most extreme of the clear causes; None if no single cause is clear."""
    extreme: Finding
    """The most extreme of all, whether it goes with the error or not."""

    def text(self) -> str:
        """In words, with the numbers."""
        if self.cause is not None:
            return self.cause.text()
        return f"no single cause; most unusual: {self.extreme.text()}"

    def name(self) -> str:
        """The shortest words for it."""
        return self.cause.cause.name if self.cause is not None else "no single cause"


def correlations(properties: Mapping[str, Mapping[str, float]], errors: Mapping[str, float]) -> dict[str, float]:
    """Rank correlation of every property with the error, over the clips that have both.

    Args:
        properties: of every clip, by its name.
        errors: of every clip, larger is worse.

    Returns:
        Property -> Spearman's rho; NaN for fewer than ``FEWEST`` clips, and where either is the same for all.
    """
    found = {}
    for key in PROPERTIES:
        clips = [clip for clip in errors if math.isfinite(properties[clip][key])]
        values, wrong = [properties[clip][key] for clip in clips], [errors[clip] for clip in clips]
        varied = len(clips) >= FEWEST and min(len(set(values)), len(set(wrong))) > 1
        found[key] = float(spearmanr(values, wrong)[0]) if varied else math.nan  # pyright: ignore[reportArgumentType]
    return found


def verdict(clip: str, properties: Mapping[str, Mapping[str, float]], going: Mapping[str, float]) -> Verdict:
    """What is said about ``clip``.

    Args:
        clip: its name.
        properties: of every clip, by its name.
        going: what ``correlations`` gives for the ranking at hand.
    """
    findings = [found for cause in CAUSES if (found := _finding(clip, cause, properties, going)) is not None]
    clear = [finding for finding in findings if finding.is_clear]
    return Verdict(cause=_most_extreme(clear) if clear else None, extreme=_most_extreme(findings))


def clear_from(clips: int) -> float:
    """Rank correlation from which on a property goes with the error: ``CLEAR``, and twice its standard error if there
    were none, 1 / sqrt(clips)."""
    return max(CLEAR, 2 / math.sqrt(clips))


def percentile(value: float, others: Sequence[float]) -> float:
    """Share of the others below the value, equal ones counted half; 0.5 of none."""
    if not others:
        return 0.5
    return sum((other < value) + 0.5 * (other == value) for other in others) / len(others)


def _finding(
    clip: str, cause: Cause, properties: Mapping[str, Mapping[str, float]], going: Mapping[str, float]
) -> Finding | None:
    value, sign = properties[clip][cause.prop], 1.0 if cause.high else -1.0
    if not math.isfinite(value):
        return None
    others = [own[cause.prop] for name, own in properties.items() if name != clip and math.isfinite(own[cause.prop])]
    return Finding(
        cause=cause,
        value=value,
        percentile=percentile(sign * value, [sign * other for other in others]),
        correlation=sign * going[cause.prop],
        clips=len(others) + 1,
    )


def _most_extreme(findings: Sequence[Finding]) -> Finding:
    return max(findings, key=lambda finding: (finding.percentile, finding.correlation))
