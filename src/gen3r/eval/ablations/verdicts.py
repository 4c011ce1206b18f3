"""What came out of a claim, as a word and a sentence that follow from intervals and seeds alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gen3r.eval.ablations.scoring import COLUMNS
from gen3r.eval.ablations.variants import Claim, Group
from gen3r.eval.metrics.bootstrap import Interval, bootstrap_difference

Word = Literal["supported", "contradicted", "undecided", "open"]
ByClip = Mapping[str, float]
"""One number per clip."""
SEEDS_NEEDED = 2
"""Runs of each variant without which nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A claim and what was measured of it."""

    claim: Claim
    """What was expected."""
    word: Word
    """What came out. "supported" and "contradicted" ask for two things: the interval over clips of the mean over seeds
    leaves 0 out, and every run of the one variant is better than every run of the other. "open": too few seeds."""
    advantage: Interval | None
    """By how much ``claim.better`` did better, in the unit of the column; below 0: worse. None if nothing is known."""
    seeds: tuple[int, int]
    """Runs of each of the two."""


def judge(claim: Claim, better: Sequence[ByClip], worse: Sequence[ByClip]) -> Verdict:
    """Compare two variants over the same clips.

    Args:
        claim: what is expected.
        better: the numbers of every seed of the variant that should win.
        worse: of the other.
    """
    seeds = (len(better), len(worse))
    if not better or not worse:
        return Verdict(claim=claim, word="open", advantage=None, seeds=seeds)
    sign = 1.0 if COLUMNS[claim.quantity].higher_is_better else -1.0
    clips = sorted(set.intersection(*(set(run) for run in (*better, *worse))))
    ours, theirs = ([[sign * run[clip] for clip in clips] for run in runs] for runs in (better, worse))
    advantage = bootstrap_difference(_over_seeds(ours), _over_seeds(theirs))
    if min(seeds) < SEEDS_NEEDED:
        return Verdict(claim=claim, word="open", advantage=advantage, seeds=seeds)
    our_means, their_means = [_mean(run) for run in ours], [_mean(run) for run in theirs]
    word: Word = "undecided"
    if advantage.low > 0 and min(our_means) > max(their_means):
        word = "supported"
    elif advantage.high < 0 and max(our_means) < min(their_means):
        word = "contradicted"
    return Verdict(claim=claim, word=word, advantage=advantage, seeds=seeds)


def sentence(verdict: Verdict, group: Group) -> str:
    """The verdict in words."""
    claim, advantage = verdict.claim, verdict.advantage
    better, worse = group.variant(claim.better).label, group.variant(claim.worse).label
    column = COLUMNS[claim.quantity]
    expected = "The paper expects" if claim.source == "paper" else "We expected"
    start = f"**{verdict.word.capitalize()}.** {expected} “{better}” before “{worse}” in `{claim.quantity}`"
    if advantage is None:
        return f"{start}; not both have been run."
    digits, unit = (2, f" {column.unit}") if column.unit else (3, "")
    numbers = f"{advantage.mean:+.{digits}f}{unit} ({advantage.low:+.{digits}f} to {advantage.high:+.{digits}f})"
    return f"{start}: {numbers} in its favour, {_WHY[verdict.word](verdict)}."


def _undecided(verdict: Verdict) -> str:
    advantage = verdict.advantage
    assert advantage is not None
    if advantage.low <= 0 <= advantage.high:
        return "an interval that holds 0"
    return "but the seeds of the two overlap"


_WHY = {
    "supported": lambda verdict: "and every run of the one beats every run of the other",
    "contradicted": lambda verdict: "which is less than nothing, in every pairing of runs",
    "undecided": _undecided,
    "open": lambda verdict: f"of {verdict.seeds[0]} and {verdict.seeds[1]} runs, too few to tell",
}


def _over_seeds(runs: Sequence[Sequence[float]]) -> list[float]:
    return [_mean(values) for values in zip(*runs, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
