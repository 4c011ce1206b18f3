"""The benchmark of the options for speed runs, and the document shows what it measured."""

import json
from dataclasses import replace
from pathlib import Path

import acceleration
import pytest

from gen3r.eval.report import fill_tables
from pipeline.conftest import build_pipeline

ROOT = Path(__file__).parents[2]
MEASURED = (
    "default again",
    "guidance in one batch",
    "guidance_skip 0.5",
    "attention _flash_3",
    "cache mag, 0.24",
    "cache taylorseer, every 5th",
)
RESULTS = sorted((ROOT / "benchmarks/results").glob("acceleration_*.json"))


@pytest.mark.slow
def test_every_option_is_measured_beside_the_default(tmp_path: Path) -> None:
    build_pipeline().save_pretrained(tmp_path / "model")
    settings = acceleration.Measure(
        out=tmp_path / "results.json", model=str(tmp_path / "model"), device="cpu", steps=4, scenes=1, rounds=1,
        only=MEASURED,
    )  # fmt: skip
    acceleration.main(settings)
    record = json.loads(settings.out.read_text())
    rows = record["options"]
    assert rows.keys() == {"default", *MEASURED}
    assert rows["default again"]["latents_rms"] == 0
    assert rows["guidance_skip 0.5"]["blocks_run"] == 0.75
    assert rows["cache taylorseer, every 5th"]["blocks_run"] < 1
    assert rows["guidance in one batch"]["latents_rms"] < 1e-4 < rows["guidance_skip 0.5"]["latents_rms"]
    assert "needs a CUDA device" in rows["attention _flash_3"]["unavailable"]
    shown = acceleration.table(record)
    assert all((f"| {name} |" in shown) == ("unavailable" not in row) for name, row in rows.items())
    with pytest.raises(ValueError, match=r"no options named \['faster'\]"):
        acceleration.measure(replace(settings, only=("faster",)))


def test_results_are_where_the_document_looks_for_them() -> None:
    assert "acceleration_cpu" in {path.stem for path in RESULTS}


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.stem)
def test_the_document_shows_the_results(results: Path) -> None:
    text = (ROOT / "docs/performance.md").read_text()
    table = acceleration.table(json.loads(results.read_text()))
    assert fill_tables(text, results.relative_to(ROOT).as_posix(), table) == text
