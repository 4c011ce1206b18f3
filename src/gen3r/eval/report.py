"""Results of a benchmark as JSON and as a table."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gen3r.eval.benchmarks.quantities import ALL_QUANTITIES, Quantity
from gen3r.eval.benchmarks.tally import Tally

FORMAT = "gen3r-eval"
VERSION = 1


def results_record(tally: Tally, **circumstances: Any) -> dict[str, Any]:
    """Everything about one run, JSON-able: ``metrics`` maps each quantity to mean, low, high (95 %) and n.

    ``circumstances`` (machine, model, command, settings, ...) are written as they are. Numbers of single clips are kept
    under ``clips`` (by seed), so that two runs can be compared clip by clip.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "metrics": {name: asdict(interval) for name, interval in tally.intervals().items()},
        **circumstances,
        "failures": [asdict(failure) for failure in tally.failures],
        "clips": {str(seed): scores for seed, scores in tally.scores.items()},
    }


def to_json(record: Mapping[str, Any]) -> str:
    """The text of a results file; refuses NaN."""
    return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_results(path: Path) -> dict[str, Any]:
    """Read a results file.

    Raises:
        ValueError: if it is missing, not JSON, or not written by ``gen3r eval``.
    """
    if not path.is_file():
        raise ValueError(f"expected a results file written by gen3r eval, but there is none at {path}.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}); measure again.") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT or record.get("version") != VERSION:
        raise ValueError(f"{path} is not a results file of gen3r eval (format {FORMAT}, version {VERSION}).")
    return record


def markdown_table(record: Mapping[str, Any], names: Sequence[str] | None = None) -> str:
    """A Markdown table of a results record: quantity, mean, 95 % interval, meaning; or as its ``table`` arranges it.

    Args:
        record: what ``read_results`` returns.
        names: quantities to show, in this order; all of them by default.

    Raises:
        ValueError: for a name the record does not hold, listing those it does.
    """
    metrics = record["metrics"]
    if names is None and "table" in record:
        return _arranged(metrics, **record["table"])
    shown = list(metrics) if names is None else list(names)
    unknown = [name for name in shown if name not in metrics]
    if unknown:
        raise ValueError(f"no quantity named {', '.join(unknown)}; the file holds {', '.join(metrics)}.")
    lines = ["| quantity | mean | 95 % interval | clips | what |", "|---|---:|---:|---:|---|"]
    for name in shown:
        quantity, row = ALL_QUANTITIES.get(name), metrics[name]
        mean, low, high = (_number(row[key], quantity) for key in ("mean", "low", "high"))
        unit = f" {quantity.unit}" if quantity is not None and quantity.unit else ""
        meaning = quantity.meaning if quantity is not None else ""
        lines.append(f"| `{name}` | {mean}{unit} | {low} to {high} | {row['n']} | {meaning} |")
    return "\n".join(lines) + "\n"


def fill_tables(text: str, name: str, table: str) -> str:
    """Put a table between ``<!-- table: NAME -->`` and ``<!-- /table -->``, replacing what is there.

    Args:
        text: a Markdown document.
        name: what the marker names: the path of a results file.
        table: what ``markdown_table`` returns.

    Raises:
        ValueError: if the document has no such pair of markers.
    """
    start, end = f"<!-- table: {name} -->", "<!-- /table -->"
    pattern = re.compile(f"({re.escape(start)}\n).*?({re.escape(end)})", re.DOTALL)
    filled, count = pattern.subn(lambda match: match[1] + table + match[2], text)
    if not count:
        raise ValueError(f"the document has no place for the table; add the lines {start} and {end} to it.")
    return filled


def _arranged(metrics: Mapping[str, Any], rows: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """Quantities with two-part names as a table of both: means, and 95 % intervals in brackets."""
    lines = ["| | " + " | ".join(columns.values()) + " |", "|---|" + "---:|" * len(columns)]
    for row, label in rows.items():
        cells = []
        for column in columns:
            quantity, interval = ALL_QUANTITIES.get(row + column), metrics[row + column]
            mean, low, high = (_number(interval[key], quantity) for key in ("mean", "low", "high"))
            cells.append(f"{mean} ({low} to {high})")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float, quantity: Quantity | None) -> str:
    return f"{value:.2f}" if quantity is not None and quantity.unit else f"{value:.3f}"
