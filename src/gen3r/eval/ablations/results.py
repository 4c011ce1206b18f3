"""What a study has found so far: one JSON for everything, and per group a results file, a table and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gen3r.eval.ablations.measuring import is_measured, parts_of
from gen3r.eval.ablations.scoring import COLUMNS
from gen3r.eval.ablations.study import STUDY_FILE, Study
from gen3r.eval.ablations.training import finished_facts, is_finished
from gen3r.eval.ablations.variants import GROUPS, Group
from gen3r.eval.ablations.verdicts import judge, sentence
from gen3r.eval.benchmarks.tally import Tally
from gen3r.eval.plots.table import save_picture
from gen3r.eval.report import markdown_table, results_record, to_json
from gen3r.eval.suite.benchmark import cell
from gen3r.whole_file import whole_file

FORMAT, VERSION = "gen3r-ablations", 1
RESULTS_FILE = "results.json"
"""Every number of every run."""
REPORT_FILE = "report.md"
"""All tables and sentences."""


def write_results(study: Study, *, command: str = "") -> dict[str, Any]:
    """Gather what is measured of all groups, also those not asked for now, into ``results.json``; returns it."""
    study, runs = study.whole(), dict[str, Any]()
    for key, run in study.runs.items():
        if not is_finished(study, run) or not is_measured(study, run):
            continue
        parts, adapter = parts_of(study, run), study.adapter_of(run)
        runs[key] = {
            "training": finished_facts(study, run),
            "adapter": None if adapter is None else finished_facts(study, adapter) | {"key": adapter.key},
            "machine": dict(parts[0].machine),
            "commits": sorted({str(part.commit) for part in parts}),
            "sampling": dict(parts[0].settings),
            "failures": [dict(failure) for part in parts for failure in part.failures],
            "clips": {clip: dict(scores) for part in parts for clip, scores in part.clips.items()},
        }
    groups = {
        name: {
            variant.name: [study.run_of(name, variant.name, seed).key for seed in range(study.config.seeds)]
            for variant in group.variants
        }
        for name, group in study.groups.items()
    }
    record = {
        "format": FORMAT,
        "version": VERSION,
        "study": json.loads((study.out / STUDY_FILE).read_text(encoding="utf-8")),
        "seeds": study.config.seeds,
        "clips": study.config.count,
        "command": command,
        "groups": groups,
        "runs": runs,
    }
    _write(study.out / RESULTS_FILE, to_json(record))
    return record


def read_study_results(folder: Path) -> dict[str, Any]:
    """What `write_results` wrote.

    Raises:
        ValueError: if there is nothing, or something else.
    """
    path = folder / RESULTS_FILE
    if not path.is_file():
        raise ValueError(f"expected results of a study at {path}, found none; run gen3r eval ablations first.")
    record = json.loads(path.read_text(encoding="utf-8"))
    if record.get("format") != FORMAT or record.get("version") != VERSION:
        raise ValueError(f"{path} is not a results file of gen3r eval ablations (format {FORMAT}, version {VERSION}).")
    return record


def tabulate(record: Mapping[str, Any], folder: Path) -> str:
    """Write per group GROUP.json (which ``gen3r eval table`` reads), GROUP.md and GROUP.png; returns the whole report.

    Groups without a measured run are passed over.
    """
    texts = []
    for name in record["groups"]:
        found = group_record(record, name)
        if not found["metrics"]:
            continue
        text = f"## {found['title']}\n\n{markdown_table(found)}"
        _write(folder / f"{name}.json", to_json(found))
        _write(folder / f"{name}.md", text)
        save_picture(found, folder / f"{name}.png")
        texts.append(text)
    report = "\n".join(texts)
    _write(folder / REPORT_FILE, report)
    return report


def group_record(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The results file of one group: per clip the mean over a variant's seeds, what each run took, and the verdicts."""
    group: Group = GROUPS[name]
    keys: Mapping[str, list[str]] = record["groups"][name]
    done = {variant: [key for key in seeds if key in record["runs"]] for variant, seeds in keys.items()}
    tally = Tally(quantities={cell(v.name, column): COLUMNS[column] for v in group.variants for column in COLUMNS})
    runs: dict[str, list[dict[str, Any]]] = {}
    for variant, seeds in done.items():
        found = [record["runs"][key] for key in seeds]
        runs[variant] = [_summary(run) for run in found]
        for clip in found[0]["clips"] if found else ():
            values = {
                cell(variant, column): sum(run["clips"][clip][column] for run in found) / len(found)
                for column in COLUMNS
            }
            tally.add(int(clip), values)

    def numbers(variant: str, column: str) -> list[dict[str, float]]:
        found = [record["runs"][key]["clips"] for key in done[variant]]
        return [{clip: scores[column] for clip, scores in clips.items()} for clips in found]

    verdicts = [
        judge(claim, numbers(claim.better, claim.quantity), numbers(claim.worse, claim.quantity))
        for claim in group.claims
    ]
    wanted = record["seeds"]
    rows = {
        f"{variant.name}/": variant.label + _progress(len(done[variant.name]), wanted)
        for variant in group.variants
        if done[variant.name]
    }
    return results_record(
        tally,
        benchmark=f"ablations/{name}",
        title=group.title,
        table={"rows": rows, "columns": _titles()},
        quantities={column: asdict(quantity) for column, quantity in COLUMNS.items()},
        curves=[],
        absent={},
        study=record["study"],
        command=record["command"],
        runs=runs,
        complete=all(len(seeds) == wanted for seeds in done.values()) and wanted > 1,
        verdicts=[asdict(verdict) for verdict in verdicts],
        sentences=[sentence(verdict, group) for verdict in verdicts]
        + [_cost(group.variant(variant).label, taken) for variant, taken in runs.items() if taken],
    )


def _cost(label: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """What the runs of a variant took, in a sentence."""
    minutes = ", ".join(f"{run['seconds'] / 60:.1f}" for run in runs)
    sizes = ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in runs[0]["parameters"].items())
    return f"“{label}”: {runs[0]['steps']} steps in {minutes} minutes; parameters: {sizes}."


def _summary(run: Mapping[str, Any]) -> dict[str, Any]:
    clips = run["clips"].values()
    means = {column: sum(scores[column] for scores in clips) / len(clips) for column in COLUMNS}
    adapter = run["adapter"]
    return {
        **run["training"],
        "parameters": run["training"]["parameters"] | ({} if adapter is None else adapter["parameters"]),
        "adapter_seconds": None if adapter is None else adapter["seconds"],
        "machine": run["machine"],
        "commits": run["commits"],
        "sampling": run["sampling"],
        "failures": len(run["failures"]),
        "means": {column: round(mean, 6) for column, mean in means.items()},
    }


def _titles() -> dict[str, str]:
    return {
        column: f"{column}{f', {quantity.unit}' if quantity.unit else ''} {'↑' if quantity.higher_is_better else '↓'}"
        for column, quantity in COLUMNS.items()
    }


def _progress(done: int, wanted: int) -> str:
    return "" if done == wanted else f" ({done} of {wanted} seeds)"


def _write(path: Path, text: str) -> None:
    with whole_file(path) as file:
        file.write_text(text, encoding="utf-8")
