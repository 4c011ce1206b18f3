import json
from pathlib import Path

import pytest

from cli.running import Runner
from gen3r.eval.benchmarks.quantities import CLEANING_QUANTITIES, QUANTITIES
from gen3r.eval.machine import folder_hash
from gen3r.scene.cleaning import CLEANING_LEVELS


def test_a_model_is_measured_and_the_numbers_become_a_table(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    results, pack = tmp_path / "results.json", tmp_path / "clips.safetensors"
    options = ("--count", 1, "--steps", 1, "--mean-map-count", 1, "--model", model, "--device", "cpu", "--pack", pack)
    outcome = gen3r("eval", "synthetic", *options, "--out", results)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert pack.is_file()
    record = json.loads(results.read_text())
    assert set(record["metrics"]) == set(QUANTITIES)
    assert all(set(interval) == {"mean", "low", "high", "n"} for interval in record["metrics"].values())
    assert list(record["clips"]) == ["900000000"]
    assert record["seeds"] == {"start": 900_000_000, "count": 1}
    assert record["settings"]["steps"] == 1
    assert record["model"]["sha256"] == folder_hash(model)
    assert record["machine"]["torch"]
    assert record["failures"] == []
    assert {name: record["settings"][name] for name in ("dtype", "memory", "numerics")} == {
        "dtype": "float32", "memory": None, "numerics": "default",
    }  # fmt: skip
    assert "`vae_psnr`" in outcome.stdout

    held = tmp_path / "held.json"
    more = ("--vram", 12, "--dtype", "bfloat16", "--numerics", "official", "--text-cache", tmp_path / "text")
    assert gen3r("eval", "synthetic", *options, *more, "--out", held).code == 0
    other = json.loads(held.read_text())
    assert other["failures"] == []
    assert {name: other["settings"][name] for name in ("dtype", "memory", "numerics")} == {
        "dtype": "bfloat16", "memory": "12", "numerics": "official",
    }  # fmt: skip
    assert list((tmp_path / "text").iterdir())
    assert other["metrics"]["vggt_absrel"] == record["metrics"]["vggt_absrel"]  # float32 in every profile
    assert other["metrics"]["vae_psnr"]["mean"] == pytest.approx(record["metrics"]["vae_psnr"]["mean"], rel=0.02)
    refused = gen3r("eval", "synthetic", *options, "--revision", "main", "--out", tmp_path / "none.json")
    assert (refused.code, "has no revisions" in refused.stderr) == (2, True)

    table = gen3r("eval", "table", results, "--metrics", "vae_psnr", "vggt_absrel")
    assert table.code == 0
    assert table.stdout.count("\n") == 4
    document = tmp_path / "README.md"
    document.write_text(f"# Numbers\n<!-- table: {results.as_posix()} -->\n<!-- /table -->\n")
    assert gen3r("eval", "table", results, "--metrics", "vae_psnr", "--into", document).code == 0
    assert document.read_text().splitlines()[-2].startswith("| `vae_psnr` |")
    document.write_text("# No place\n")
    assert gen3r("eval", "table", results, "--into", document).code == 2


def test_cleaning_is_measured_level_by_level(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    results = tmp_path / "results.json"
    options = ("--count", 1, "--steps", 1, "--model", model, "--device", "cpu")
    outcome = gen3r("eval", "cleaning", *options, "--out", results)
    assert (outcome.code, outcome.stderr) == (0, "")
    record = json.loads(results.read_text())
    assert set(record["metrics"]) == set(CLEANING_QUANTITIES)
    assert set(record["settings"]["levels"]) == set(CLEANING_LEVELS)
    assert record["model"]["sha256"] == folder_hash(model)
    table = gen3r("eval", "table", results)
    assert (table.code, table.stdout.splitlines()) == (0, outcome.stdout.splitlines()[: 2 + 2 * len(CLEANING_LEVELS)])


def test_the_hash_of_a_folder_follows_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a").write_text("1")
    first = folder_hash(folder)
    (folder / "deep" / "a").rename(folder / "deep" / "b")
    second = folder_hash(folder)
    (folder / "deep" / "b").write_text("2")
    assert len({first, second, folder_hash(folder)}) == 3
