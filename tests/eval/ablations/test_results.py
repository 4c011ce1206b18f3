"""From numbers of runs to tables: nothing is trained here."""

import json
from pathlib import Path
from typing import Any

import pytest

from gen3r.eval.ablations.results import group_record, read_study_results, tabulate
from gen3r.eval.ablations.scoring import COLUMNS
from gen3r.eval.report import markdown_table, read_results


def run_record(level: float, clips: int = 12) -> dict[str, Any]:
    """A run whose numbers are all around ``level``."""
    return {
        "training": {
            "stage": "diffusion",
            "steps": 9,
            "seed": 0,
            "seconds": 60.0,
            "parameters": {"transformer": 10**6},
        },
        "adapter": None,
        "machine": {"device": "cpu"},
        "commits": ["abc"],
        "sampling": {"steps": 5},
        "failures": [],
        "clips": {str(clip): dict.fromkeys(COLUMNS, level + clip / 100) for clip in range(clips)},
    }


@pytest.fixture
def record() -> dict[str, Any]:
    """A study of one group: both variants were run twice."""
    return {
        "format": "gen3r-ablations",
        "version": 1,
        "study": {"preset": "micro"},
        "seeds": 2,
        "command": "gen3r eval ablations",
        "groups": {"resolution": {"full": ["a", "b"], "half": ["c", "d"]}},
        "runs": {"a": run_record(1.0), "b": run_record(2.0), "c": run_record(3.0), "d": run_record(4.0)},
    }


def test_a_row_is_the_mean_of_its_seeds(record: dict[str, Any]) -> None:
    found = group_record(record, "resolution")
    assert found["complete"]
    assert found["metrics"]["full/one_absrel"]["mean"] == pytest.approx(1.5 + 5.5 / 100)
    assert found["metrics"]["half/one_absrel"]["n"] == 12
    assert [run["means"]["one_absrel"] for run in found["runs"]["full"]] == pytest.approx([1.055, 2.055])
    assert [verdict["word"] for verdict in found["verdicts"]] == ["supported"] * 2
    assert found["verdicts"][0]["advantage"]["mean"] == pytest.approx(2.0)


def test_what_has_not_been_run_is_no_row_and_decides_nothing(record: dict[str, Any]) -> None:
    del record["runs"]["b"], record["runs"]["c"], record["runs"]["d"]
    found = group_record(record, "resolution")
    assert not found["complete"]
    assert found["table"]["rows"] == {"full/": "full (1 of 2 seeds)"}
    assert {verdict["word"] for verdict in found["verdicts"]} == {"open"}
    assert not any(name.startswith("half/") for name in found["metrics"])


def test_tables_come_from_the_json_alone(tmp_path: Path, record: dict[str, Any]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(record))
    report = tabulate(read_study_results(tmp_path), tmp_path)
    assert report == (tmp_path / "report.md").read_text()
    assert report.count("**Supported.**") == 2
    stored = read_results(tmp_path / "resolution.json")
    assert (tmp_path / "resolution.md").read_text().endswith(markdown_table(stored))
    assert "“full”: 9 steps in 1.0, 1.0 minutes; parameters: transformer 1.00 M." in stored["sentences"]
    assert (tmp_path / "resolution.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="found none"):
        read_study_results(tmp_path / "elsewhere")
