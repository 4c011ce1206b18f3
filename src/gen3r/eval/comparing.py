"""Two sets of numbers of the same clips: is the difference more than chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from gen3r.eval.benchmarks.quantities import Quantity
from gen3r.eval.metrics.bootstrap import Interval, bootstrap_change, bootstrap_difference
from gen3r.eval.report import quantity_of

Numbers = Mapping[str, Mapping[str, float]]
"""Quantity -> name of a clip -> number."""
SEPARATORS = ("/", "_")
"""Between row and column in the name of a quantity; the second in files without tables."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One quantity in both."""

    name: str
    """Of the quantity."""
    quantity: Quantity | None
    """What is known of it."""
    means: tuple[float, float]
    """Of both, over the clips that both have."""
    difference: Interval
    """First minus second, clip by clip."""
    change: Interval | None
    """First over second, minus 1; None for decibels, and where the second is not above 0."""

    @property
    def is_clear(self) -> bool:
        """Whether 0 lies outside the interval of the difference."""
        return self.difference.low > 0 or self.difference.high < 0

    def verdict(self, first: str, second: str) -> str:
        """Which one is better, in words."""
        if not self.is_clear:
            return "no clear difference"
        if self.quantity is None:
            return "different"
        return f"{first if (self.difference.mean > 0) == self.quantity.higher_is_better else second} better"


def numbers_of(record: Mapping[str, Any], row: str | None = None) -> dict[str, dict[str, float]]:
    """Every quantity of a results record, clip by clip; of one row of it, called by the columns alone.

    Raises:
        ValueError: for a row that the record does not hold, listing those it does.
    """
    found: dict[str, dict[str, float]] = {}
    for clip, scores in record["clips"].items():
        for name, value in scores.items():
            found.setdefault(name, {})[clip] = value
    if row is None:
        return found
    for separator in SEPARATORS:
        prefix = row + separator
        own = {name.removeprefix(prefix): values for name, values in found.items() if name.startswith(prefix)}
        if own:
            return own
    rows = dict.fromkeys(name.partition("/" if "/" in name else "_")[0] for name in found)
    raise ValueError(f"no row named {row}; the file holds {', '.join(rows)}.")


def compare(
    first: Numbers, second: Numbers, quantities: Mapping[str, Quantity | None], names: Sequence[str] = ()
) -> list[Difference]:
    """Differences of the quantities that both have, over the clips that both have.

    Args:
        first: numbers clip by clip.
        second: what they are compared with.
        quantities: what is known of each.
        names: these alone, in this order; all of them by default.

    Raises:
        ValueError: if there is nothing to compare, or a name is not in both.
    """
    shared = [name for name in first if name in second]
    missing = [name for name in names if name not in shared]
    if missing or not shared:
        raise ValueError(f"no {', '.join(missing) or 'quantity'} in both; they share {', '.join(shared) or 'nothing'}.")
    differences = []
    for name in names or shared:
        clips = [clip for clip in first[name] if clip in second[name]]
        if not clips:
            raise ValueError(f"no clip has {name} in both; measure both on the same clips.")
        values, others = ([numbers[name][clip] for clip in clips] for numbers in (first, second))
        differences.append(
            Difference(
                name=name,
                quantity=quantities.get(name),
                means=(sum(values) / len(clips), sum(others) / len(clips)),
                difference=bootstrap_difference(values, others),
                change=_change(values, others, quantities.get(name)),
            )
        )
    return differences


def row_quantities(record: Mapping[str, Any], numbers: Numbers, row: str | None) -> dict[str, Quantity | None]:
    """What the record says of the quantities of `numbers_of`."""
    prefixes = [""] if row is None else [row + separator for separator in SEPARATORS]
    known = {name: [quantity_of(record, prefix + name) for prefix in prefixes] for name in numbers}
    return {name: next((quantity for quantity in found if quantity is not None), None) for name, found in known.items()}


def markdown_comparison(differences: Sequence[Difference], first: str, second: str) -> str:
    """A Markdown table: both means, the difference with its 95 % interval, the relative change, and the verdict."""
    lines = [
        f"| | {first} | {second} | difference (95 % interval) | change | clips | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for item in differences:
        digits = 2 if item.quantity is not None and item.quantity.unit else 3
        unit = f", {item.quantity.unit}" if item.quantity is not None and item.quantity.unit else ""
        mean, low, high = (f"{getattr(item.difference, key):+.{digits}f}" for key in ("mean", "low", "high"))
        one, other = (f"{value:.{digits}f}" for value in item.means)
        change = "" if item.change is None else _percent(item.change)
        verdict = item.verdict(first, second)
        lines.append(
            f"| `{item.name}`{unit} | {one} | {other} | {mean} ({low} to {high}) | {change} | {item.difference.n} | "
            f"{verdict} |"
        )
    return "\n".join(lines) + "\n"


def _percent(change: Interval) -> str:
    mean, low, high = (f"{100 * value:+.1f}" for value in (change.mean, change.low, change.high))
    return f"{mean} % ({low} to {high})"


def _change(values: Sequence[float], others: Sequence[float], quantity: Quantity | None) -> Interval | None:
    if quantity is None or quantity.unit == "dB" or min(others) <= 0 or not all(map(isfinite, values)):
        return None
    return bootstrap_change(values, others)
