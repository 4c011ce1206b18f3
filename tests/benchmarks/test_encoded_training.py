"""The benchmark of encoded training runs, and the document shows what it measured."""

import json
from pathlib import Path

import encoded_training
import pytest

from gen3r.eval.report import fill_tables

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "benchmarks/results").glob("encoded_training_*.json"))


@pytest.mark.slow
def test_both_ways_are_measured_in_one_run(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    encoded_training.main(encoded_training.Measure(out=out, sizes="small", device="cpu", clips=2, rounds=2))
    record = json.loads(out.read_text())
    seconds = record["seconds"]
    assert seconds.keys() == {"encoded", "video"}
    for parts in seconds.values():
        assert parts["step"] >= parts["train"] > 0
    assert seconds["video"]["encode"] > seconds["encoded"]["encode"]
    low, high = record["middle_half_of_ratios"]
    assert 0 < record["video_over_encoded"] <= high
    assert low <= record["video_over_encoded"]
    assert record["shard_bytes_per_clip"] > 1000
    assert "latent shards" in encoded_training.table(record)


def test_results_are_where_the_document_looks_for_them() -> None:
    assert "encoded_training_cpu" in {path.stem for path in RESULTS}


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.stem)
def test_the_document_shows_the_results(results: Path) -> None:
    text = (ROOT / "docs/latents.md").read_text()
    table = encoded_training.table(json.loads(results.read_text()))
    assert fill_tables(text, results.relative_to(ROOT).as_posix(), table) == text
