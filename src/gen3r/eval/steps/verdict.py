"""Whether fewer steps are as good: every judged score within a share of the reference's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gen3r.eval.metrics.bootstrap import Interval, bootstrap_change
from gen3r.eval.steps.quantities import COLUMNS, JUDGED

WITHIN = 0.05
"""Share of the reference's score that may be lost."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """How much worse one score is than the reference's, relative to it."""

    change: Interval | None
    """Positive is worse, in parts of the reference's mean; paired over the clips. None where that is not above 0."""

    @property
    def verdict(self) -> str:
        """``within``: so even at the upper end of the interval; ``within on average``: so by the means alone."""
        if self.change is None:
            return "no number"
        if self.change.high <= WITHIN:
            return "within"
        return "within on average" if self.change.mean <= WITHIN else "not within"


def losses(clips: Mapping[str, Mapping[str, float]], row: str, reference: str) -> dict[str, Loss]:
    """The loss of every judged score of a row, by column.

    Args:
        clips: clip -> quantity -> number, as results files have them.
        row: key of the row (``quantities.row_of``).
        reference: that of the reference.
    """
    found = {}
    for column in JUDGED:
        ours = [scores[row + column] for scores in clips.values()]
        theirs = [scores[reference + column] for scores in clips.values()]
        found[column] = Loss(change=_worse(ours, theirs, COLUMNS[column].higher_is_better))
    return found


def _worse(ours: Sequence[float], theirs: Sequence[float], higher_is_better: bool) -> Interval | None:
    try:
        change = bootstrap_change(ours, theirs)
    except ValueError:  # a reference of nothing
        return None
    if not higher_is_better:
        return change
    return Interval(mean=0.0 - change.mean, low=0.0 - change.high, high=0.0 - change.low, n=change.n)  # and no -0.0


def overall(found: Mapping[str, Loss]) -> str:
    """The worst of the verdicts: all judged scores have to be within."""
    order = ("no number", "not within", "within on average", "within")
    return min((loss.verdict for loss in found.values()), key=order.index)


def losses_record(clips: Mapping[str, Mapping[str, float]], rows: Sequence[str], reference: str) -> dict[str, Any]:
    """Losses and verdicts of several rows, JSON-able, by row."""
    record = {}
    for row in rows:
        found = losses(clips, row, reference)
        record[row] = {
            "verdict": overall(found),
            "losses": {
                column: None if loss.change is None else asdict(loss.change) | {"verdict": loss.verdict}
                for column, loss in found.items()
            },
        }
    return record


def losses_table(record: Mapping[str, Any], labels: Mapping[str, str], headings: Mapping[str, str]) -> str:
    """A Markdown table of ``losses_record``: percent lost, intervals in brackets, and the verdict."""
    lines = [
        "| lost, % | " + " | ".join(headings[column] for column in JUDGED) + " | verdict |",
        "|---|" + "---:|" * len(JUDGED) + "---|",
    ]
    for row, values in record.items():
        cells = [_cell(values["losses"][column]) for column in JUDGED]
        lines.append(f"| {labels[row]} | " + " | ".join(cells) + f" | {values['verdict']} |")
    return "\n".join(lines) + "\n"


def _cell(loss: Mapping[str, Any] | None) -> str:
    if loss is None:
        return ""
    mean, low, high = (100 * loss[name] for name in ("mean", "low", "high"))
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"
