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


def results_record(tally: Tally, names: Mapping[int, str] | None = None, **circumstances: Any) -> dict[str, Any]:
    """Everything about one run, JSON-able: ``metrics`` maps each quantity to mean, low, high (95 %) and n.

    Args:
        tally: what was measured.
        names: of the clips, by their number in the tally; left out, they are called by that number, which is the seed.
        circumstances: machine, model, command, settings, ..., written as they are.

    Numbers of single clips are kept under ``clips``, so that two runs can be compared clip by clip.
    """
    failures = [asdict(failure) for failure in tally.failures]
    if names is not None:
        failures = [{"clip": names[failure.pop("seed")]} | failure for failure in failures]
    called = {seed: str(seed) for seed in tally.scores} if names is None else names
    return {
        "format": FORMAT,
        "version": VERSION,
        "metrics": {name: asdict(interval) for name, interval in tally.intervals().items()},
        **circumstances,
        "failures": failures,
        "clips": {called[seed]: scores for seed, scores in tally.scores.items()},
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
        return _arranged(record) + "".join(f"\n{line}\n" for line in remarks(record))
    shown = list(metrics) if names is None else list(names)
    unknown = [name for name in shown if name not in metrics]
    if unknown:
        raise ValueError(f"no quantity named {', '.join(unknown)}; the file holds {', '.join(metrics)}.")
    lines = ["| quantity | mean | 95 % interval | clips | what |", "|---|---:|---:|---:|---|"]
    for name in shown:
        quantity, row = quantity_of(record, name), metrics[name]
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


def quantity_of(record: Mapping[str, Any], name: str) -> Quantity | None:
    """What the record says of a quantity, or what is known of it; None if nothing is."""
    told = record.get("quantities", {}).get(name.rpartition("/")[2])
    return ALL_QUANTITIES.get(name) if told is None else Quantity(**told)


def remarks(record: Mapping[str, Any]) -> list[str]:
    """What has to be said below an arranged table: what columns mean, what is absent, and which clips are not in it."""
    lines = []
    if "quantities" in record:
        columns = [(name, record["quantities"][name]) for name in record["table"]["columns"]]
        lines.append("; ".join(f"{name}: {quantity['meaning']}" for name, quantity in columns) + ".")
    lines += [f"Absent: {what} ({why})." for what, why in record.get("absent", {}).items()]
    if "data" in record:
        share = f"{len(record['clips'])} of {record['data']['clips']} clips"
        reasons = [f"{len(clips)} left out: {why}" for why, clips in record.get("left_out", {}).items()]
        lines.append("; ".join([f"Means with 95 % intervals over {share}", *reasons]) + ".")
    if record.get("left_out") is not None and record["failures"]:
        failed = len({failure["clip"] for failure in record["failures"]})
        lines.append(f"Something failed on {failed} clips, and counts there as its worst value.")
    return [*lines, *record.get("sentences", ())]


def _arranged(record: Mapping[str, Any]) -> str:
    """Quantities with two-part names as a table of both: means, and 95 % intervals in brackets."""
    metrics, rows, columns = record["metrics"], record["table"]["rows"], record["table"]["columns"]
    lines = ["| | " + " | ".join(columns.values()) + " |", "|---|" + "---:|" * len(columns)]
    for row, label in rows.items():
        cells = [_cell(record, row + column) if row + column in metrics else "" for column in columns]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(record: Mapping[str, Any], name: str) -> str:
    quantity, interval = quantity_of(record, name), record["metrics"][name]
    mean, low, high = (_number(interval[key], quantity) for key in ("mean", "low", "high"))
    fewer = f", n = {interval['n']}" if interval["n"] < len(record["clips"]) else ""
    return f"{mean} ({low} to {high}{fewer})"


def _number(value: float, quantity: Quantity | None) -> str:
    return f"{value:.2f}" if quantity is not None and quantity.unit else f"{value:.3f}"
