"""From parts to the results of a table: a record with intervals, a Markdown table, a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gen3r.eval.benchmarks.tally import Failure, Tally
from gen3r.eval.plots.table import save_picture
from gen3r.eval.report import markdown_table, results_record, to_json
from gen3r.eval.suite.benchmark import Benchmark, Curve, HasCurves, TellsAbsent
from gen3r.eval.suite.plan import SuitePlan
from gen3r.whole_file import whole_file


def write_results(plan: SuitePlan, *, command: str) -> dict[str, dict[str, Any]]:
    """Write the three files of every table; returns the records by table.

    Raises:
        ValueError: if clips are not measured yet.
    """
    records = {name: suite_record(plan, name, command=command) for name in plan.benchmarks}
    for name, record in records.items():
        out = Path(plan.config.out)
        for suffix, text in ((".json", to_json(record)), (".md", markdown_table(record))):
            with whole_file(out / f"{name}{suffix}") as file:
                file.write_text(text, encoding="utf-8")
        save_picture(record, out / f"{name}.png")
    return records


def suite_record(plan: SuitePlan, name: str, *, command: str) -> dict[str, Any]:
    """Everything that was measured for a table, JSON-able.

    Raises:
        ValueError: if clips are not measured yet.
    """
    benchmark = plan.benchmarks[name]
    groups = plan.groups
    parts = [part for number in range(len(groups)) if (part := plan.part(name, number)) is not None]
    expected = sum(bool(plan.due(benchmark, group)) for group in groups)
    if len(parts) < expected:
        raise ValueError(f"{name}: {expected - len(parts)} of {expected} groups of clips are not measured yet.")
    tally, names = Tally(quantities=plan.quantities[name]), list[str]()
    left_out = {clip.name: why for clip in plan.clips if (why := clip.lacks(benchmark.needs))}
    for part in parts:
        numbers = {clip: len(names) + index for index, clip in enumerate(part.clips)}
        names += part.clips
        left_out |= part.left_out
        for clip, scores in part.clips.items():
            tally.add(numbers[clip], dict(scores))
        tally.failures += [
            Failure(seed=numbers[failure["clip"]], stage=failure["stage"], error=failure["error"])
            for failure in part.failures
        ]
    if not names:
        raise ValueError(f"{name}: no clip has what it needs ({_reasons(left_out)}).")
    machines = list({json.dumps(dict(part.machine), sort_keys=True): dict(part.machine) for part in parts}.values())
    commits = sorted({str(part.commit) for part in parts})
    return results_record(
        tally,
        names=dict(enumerate(names)),
        benchmark=name,
        title=benchmark.title,
        table=table_of(benchmark),
        quantities={column: asdict(quantity) for column, quantity in _columns(benchmark).items()},
        curves=[asdict(curve) | {"rows": list(curve.rows)} for curve in _curves(benchmark)],
        absent=dict(benchmark.absent) if isinstance(benchmark, TellsAbsent) else {},
        data=plan.identity["data"] | {"clips": len(plan.clips)},
        left_out=_by_reason(left_out),
        settings=plan.identity["settings"] | dict(parts[0].settings),
        model=plan.identity["model"],
        machine=machines[0],
        machines=machines,
        commit=plan.identity["commit"],
        commits=commits,
        command=command,
        seconds=round(sum(part.seconds for part in parts), 1),
    )


def table_of(benchmark: Benchmark) -> dict[str, dict[str, str]]:
    """Rows and columns as `eval.report` arranges them: the name of a quantity is that of its row and of its column."""
    units = {column: f", {quantity.unit}" * bool(quantity.unit) for column, quantity in benchmark.columns.items()}
    arrows = {column: "↑" if quantity.higher_is_better else "↓" for column, quantity in benchmark.columns.items()}
    return {
        "rows": {f"{row}/": label for row, label in benchmark.rows.items()},
        "columns": {column: f"{column}{units[column]} {arrows[column]}" for column in benchmark.columns},
    }


def _columns(benchmark: Benchmark) -> dict[str, Any]:
    return {point: curve.quantity for curve in _curves(benchmark) for point in curve.points} | dict(benchmark.columns)


def _curves(benchmark: Benchmark) -> tuple[Curve, ...]:
    return benchmark.curves if isinstance(benchmark, HasCurves) else ()


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        why: [clip for clip, reason in left_out.items() if reason == why] for why in dict.fromkeys(left_out.values())
    }


def _reasons(left_out: Mapping[str, str]) -> str:
    return "; ".join(f"{why}: {len(clips)} clips" for why, clips in _by_reason(left_out).items())
