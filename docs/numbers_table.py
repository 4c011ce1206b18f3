"""Writes what was asked of the shipped model, and what was measured, into docs/results.md.

python docs/numbers_table.py

Numbers come from the results files of gen3r eval in benchmarks/results; a row whose file is not there stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen3r.eval.comparing import numbers_of
from gen3r.eval.metrics.bootstrap import Interval, bootstrap_change, bootstrap_difference, bootstrap_mean
from gen3r.eval.report import fill_tables, read_results
from gen3r.whole_file import whole_file

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
DOCUMENT = DOCS / "results.md"
MARKER = "docs/numbers_table.py"
COLUMNS = ("", "at least", "aim", "measured", "met", "from, or open because")
Records = Mapping[str, Mapping[str, Any]]
"""Name of a results file without its ending -> what it holds; those that are there."""
FEWEST = 256
"""Clips that the numbers are asked on."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """One measured number."""

    value: Interval
    """With its interval over clips."""
    name: str
    """Of its file, without the ending."""
    form: str = "{:.3f}"
    """How it is written; what follows the number is its unit."""

    def text(self) -> str:
        """Mean and interval; the unit once."""
        digits, end, unit = self.form.partition("}")
        mean, low, high = ((digits + end).format(getattr(self.value, key)) for key in ("mean", "low", "high"))
        return f"{mean}{unit} ({low} to {high})"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One row."""

    title: str
    """What is asked."""
    least: str
    """In words."""
    aim: str
    """In words."""
    measure: Callable[[Records], list[Number] | None]
    """From the files; None if they are not there."""
    reaches: Callable[[Sequence[float], int], bool] | None
    """Whether the means reach it: (means, 0 for least and 1 for aim); None: a person has to judge."""
    command: str
    """What makes the file."""


def column(records: Records, name: str, quantity: str) -> list[float] | None:
    """A quantity of a file, clip by clip in the order of their names."""
    if name not in records:
        return None
    found = numbers_of(records[name]).get(quantity)
    return None if found is None else [found[clip] for clip in sorted(found)]


def mean(name: str, quantity: str, form: str = "{:.3f}") -> Callable[[Records], Number | None]:
    """The mean of a quantity."""

    def measure(records: Records) -> Number | None:
        values = column(records, name, quantity)
        return None if values is None else Number(value=bootstrap_mean(values), name=name, form=form)

    return measure


def paired(
    name: str, one: str, other: str, form: str, by: Callable[..., Interval] = bootstrap_difference
) -> Callable[[Records], Number | None]:
    """One quantity against another, clip by clip."""

    def measure(records: Records) -> Number | None:
        values, others = column(records, name, one), column(records, name, other)
        if values is None or others is None:
            return None
        value, factor = by(values, others), 100.0 if by is bootstrap_change else 1.0
        scaled = {key: factor * getattr(value, key) for key in ("mean", "low", "high")}
        return Number(value=Interval(**scaled, n=value.n), name=name, form=form)

    return measure


def first_of(*ways: Callable[[Records], Number | None]) -> Callable[[Records], Number | None]:
    """The first that the files allow."""
    return lambda records: next((number for way in ways if (number := way(records)) is not None), None)


def both(*ways: Callable[[Records], Number | None]) -> Callable[[Records], list[Number] | None]:
    """All of them, or nothing."""

    def measure(records: Records) -> list[Number] | None:
        numbers = [number for way in ways if (number := way(records)) is not None]
        return numbers if len(numbers) == len(ways) else None

    return measure


def at_least(*limits: tuple[float, float]) -> Callable[[Sequence[float], int], bool]:
    """Every mean is at least its limit; (least, aim) each."""
    return lambda means, level: all(value >= limit[level] for value, limit in zip(means, limits, strict=True))


def steps_row(records: Records) -> list[Number] | None:
    """The worst loss of four steps without guidance against thirty, in percent."""
    record = records.get("steps", {})
    rows = [row for row in record.get("against_reference", {}) if row.endswith("@4/")]
    if not rows or not str(record.get("reference")).endswith("@30/"):
        return None
    losses = record["against_reference"][rows[-1]]["losses"]
    if any(loss is None for loss in losses.values()):
        return None
    worst = max(losses.values(), key=lambda loss: loss["mean"])
    scaled = {key: 100 * worst[key] for key in ("mean", "low", "high")}
    return [Number(value=Interval(**scaled, n=worst["n"]), name="steps", form="{:.1f} % lost")]


def at_most(*limits: tuple[float, float]) -> Callable[[Sequence[float], int], bool]:
    """Every mean is at most its limit; (least, aim) each."""
    return lambda means, level: all(value <= limit[level] for value, limit in zip(means, limits, strict=True))


TABLES = "gen3r eval tables"
DB = "{:+.2f} dB"
PERCENT = "{:+.1f} %"
GOALS = (
    Goal(
        title="VAE PSNR",
        least="27 dB",
        aim="30",
        measure=both(first_of(mean("t9", "vae/psnr", "{:.2f} dB"), mean("tiny", "vae_psnr", "{:.2f} dB"))),
        reaches=at_least((27, 30)),
        command=f"{TABLES} t9",
    ),
    Goal(
        title="VGGT depth AbsRel, aligned",
        least=".07",
        aim=".04",
        measure=both(first_of(mean("t3", "vggt/absrel"), mean("tiny", "vggt_absrel"))),
        reaches=at_most((0.07, 0.04)),
        command=f"{TABLES} t3",
    ),
    Goal(
        title="VGGT rotation AUC@5",
        least=".70",
        aim=".85",
        measure=both(mean("tiny", "vggt_rot_auc5")),
        reaches=at_least((0.70, 0.85)),
        command="gen3r eval synthetic",
    ),
    Goal(
        title="adapter round trip against VGGT, Chamfer distance",
        least="+ 3 %",
        aim="+ 1 %",
        measure=both(paired("t3", "adapter/chamfer", "vggt/chamfer", PERCENT, bootstrap_change)),
        reaches=at_most((3, 1)),
        command=f"{TABLES} t3",
    ),
    Goal(
        title="the same, depth AbsRel",
        least="",
        aim="",
        measure=both(
            first_of(
                paired("t3", "adapter/absrel", "vggt/absrel", PERCENT, bootstrap_change),
                paired("tiny", "adapter_absrel", "vggt_absrel", PERCENT, bootstrap_change),
            )
        ),
        reaches=None,
        command=f"{TABLES} t3",
    ),
    Goal(
        title="1 view with cameras: last-frame PSNR against a copy of the first",
        least="+ 3 dB",
        aim="level with warping by true depth",
        measure=both(
            first_of(
                paired("t1", "gen1/last_psnr", "copy/last_psnr", DB),
                paired("tiny", "gen1_last_psnr", "copy_last_psnr", DB),
            )
        ),
        reaches=lambda means, level: level == 0 and means[0] >= 3,
        command=f"{TABLES} t1",
    ),
    Goal(
        title="the same, against warping by true depth",
        least="",
        aim="0 dB",
        measure=both(
            first_of(
                paired("t1", "gen1/last_psnr", "warp1/last_psnr", DB),
                paired("tiny", "gen1_last_psnr", "warp_last_psnr", DB),
            )
        ),
        reaches=at_least((float("-inf"), 0)),
        command=f"{TABLES} t1",
    ),
    Goal(
        title="2 views with cameras against 1 view, PSNR of the frames that both generate",
        least="+ 2 dB",
        aim="+ 4 dB",
        measure=both(
            first_of(
                paired("t1", "gen2/between_psnr", "gen1/between_psnr", DB),
                paired("tiny", "gen2_mean_psnr", "gen1_between_psnr", DB),
            )
        ),
        reaches=at_least((2, 4)),
        command=f"{TABLES} t1",
    ),
    Goal(
        title="generated depth AbsRel, 1 view / 2 views",
        least=".13 / .10",
        aim=".09 / .06",
        measure=both(
            first_of(mean("t2", "joint1/absrel"), mean("tiny", "gen1_absrel")),
            first_of(mean("t2", "joint2/absrel"), mean("tiny", "gen2_absrel")),
        ),
        reaches=at_most((0.13, 0.09), (0.10, 0.06)),
        command=f"{TABLES} t2",
    ),
    Goal(
        title="camera control AUC@30 with cameras",
        least=".80",
        aim=".90",
        measure=both(first_of(mean("t5", "own1/auc30"), mean("tiny", "camera_auc30"))),
        reaches=at_least((0.80, 0.90)),
        command=f"{TABLES} t5",
    ),
    Goal(
        title="joint against two-stage, Chamfer distance",
        least="below 0, outside the interval",
        aim="- 15 %",
        measure=both(paired("t2", "joint1/chamfer", "two_stage1/chamfer", PERCENT, bootstrap_change)),
        reaches=at_most((0, -15)),
        command=f"{TABLES} t2",
    ),
    Goal(
        title="joint against two-stage, AUC@30",
        least="above 0, outside the interval",
        aim="the paper's margin",
        measure=both(paired("t5", "own1/auc30", "vggt1/auc30", "{:+.3f}")),
        reaches=None,
        command=f"{TABLES} t5",
    ),
    Goal(
        title="4 steps without guidance against 30 steps, the worst of five scores",
        least="within 5 %",
        aim="within 2 %",
        measure=steps_row,
        reaches=at_most((5, 2)),
        command="gen3r eval steps --steps 4 30 --reference-steps 30",
    ),
    Goal(
        title="photo to scene on 2 CPU cores, 20 steps / 4 steps",
        least="60 s / 25 s",
        aim="40 s / 15 s",
        measure=lambda records: None,
        reaches=None,
        command="time gen3r generate photo.jpg --device cpu --steps 20 --out scene",
    ),
)


def table(records: Records) -> str:
    """Every goal with what was measured."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---:|---:|---:|---|---|", *(row(goal, records) for goal in GOALS)]
    return "\n".join([*lines, "", *sources(records)]) + "\n"


def row(goal: Goal, records: Records) -> str:
    """One goal."""
    numbers = goal.measure(records)
    if numbers is None:
        cells = (goal.title, goal.least, goal.aim, "", "open", f"not measured: `{goal.command}`")
        return "| " + " | ".join(cells) + " |"
    names = dict.fromkeys(f"`{number.name}.json`, {number.value.n} clips" for number in numbers)
    cells = (
        goal.title,
        goal.least,
        goal.aim,
        " / ".join(number.text() for number in numbers),
        _met(goal, numbers),
        "; ".join(names),
    )
    return "| " + " | ".join(cells) + " |"


def _met(goal: Goal, numbers: Sequence[Number]) -> str:
    if goal.reaches is None:
        return ""
    means = [number.value.mean for number in numbers]
    reached = [goal.reaches(means, level) for level in (0, 1)]
    word = "aim" if reached[1] else "yes" if reached[0] and goal.least else "no"
    fewer = min(number.value.n for number in numbers) < FEWEST
    return f"{word}, on fewer than {FEWEST} clips" if fewer else word


def sources(records: Records) -> list[str]:
    """What the files are about."""
    lines = []
    for name, record in records.items():
        model, machine = record.get("model", {}), record.get("machine", {})
        where = machine.get("gpu") or machine.get("processor")
        lines.append(
            f"`{name}.json`: model `{model.get('name')}`, revision {model.get('revision')}, {len(record['clips'])} "
            f"clips, measured on {where} at commit {str(record.get('commit'))[:8]}."
        )
    return lines or ["No results files yet."]


def stored(folder: Path = RESULTS) -> dict[str, Mapping[str, Any]]:
    """The results files that are there; ``tiny`` is that of ``gen3r eval synthetic`` on the shipped model."""
    files = {name: folder / f"{name}.json" for name in ("tiny", "t1", "t2", "t3", "t5", "t9", "steps")}
    return {name: read_results(file) for name, file in files.items() if file.is_file()}


def filled(text: str, records: Records | None = None) -> str:
    """The document with the table of today."""
    return fill_tables(text, MARKER, table(stored() if records is None else records))


if __name__ == "__main__":
    with whole_file(DOCUMENT) as temporary:
        temporary.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
