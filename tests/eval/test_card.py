import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cli.running import Runner
from gen3r.eval.card import CardSources, render_card
from gen3r.eval.card_curves import curves
from gen3r.eval.card_runs import read_runs
from gen3r.eval.report import FORMAT, VERSION, read_results

SETTINGS = {"name": "toy", "revision": "3", "frames": 5, "height": 56, "width": 64, "steps": 4, "guidance": 1.0}


@pytest.fixture
def gen3r(capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(capsys)


def model_folder(folder: Path) -> Path:
    (folder / "vae").mkdir(parents=True)
    (folder / "pipeline.json").write_text(json.dumps(SETTINGS))
    save_file({"weight": torch.zeros(1000, 300), "bias": torch.zeros(300)}, folder / "vae" / "model.safetensors")
    return folder


def results_file(path: Path, revision: str = "3") -> Path:
    numbers = {"gen1_last_psnr": (16.5690, 16.0261, 17.1406), "gen1_absrel": (0.2581, 0.2164, 0.3000)}
    record: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "metrics": {k: {"mean": m, "low": low, "high": high, "n": 2} for k, (m, low, high) in numbers.items()},
        "model": {"name": "toy", "revision": revision},
        "settings": {"steps": 4, "guidance": 1.0},
        "machine": {"processor": "a processor", "cores": 2, "torch": "2"},
        "commit": "abc",
        "command": "gen3r eval synthetic",
        "clips": {"1": {}, "2": {}},
    }
    path.write_text(json.dumps(record))
    return path


def run_folder(folder: Path, stage: str, first: int = 0) -> Path:
    checkpoint = folder / "checkpoints" / f"step-{first + 30:09d}"
    checkpoint.mkdir(parents=True)
    facts = {"stage": stage, "loop": {"batch_size": 8, "lr": 0.001}, "data": {"kind": "packs", "clips": 800}}
    (checkpoint / "facts.json").write_text(json.dumps(facts))
    names = {"vae": "psnr", "vggt": "absrel"}
    lines: list[dict[str, float]] = [
        {"step": first + 10, "seconds": 1800.0, f"val/{names[stage]}": 20.0},
        {"step": first + 20, "seconds": 900.0},  # another sitting, with a clock of its own
        {"step": first + 30, "seconds": 1800.0, f"val/{names[stage]}": 25.0},
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_numbers_of_a_card_are_those_of_its_results(tmp_path: Path, gen3r: Runner) -> None:
    results, out = results_file(tmp_path / "results.json"), tmp_path / "README.md"
    options = ("--model", model_folder(tmp_path / "toy"), "--results", results, "--out", out)
    assert gen3r("eval", "card", *options, "--runs", run_folder(tmp_path / "one", "vae")).code == 0
    text = out.read_text()
    told = re.findall(r"^\| `(\w+)` \| ([\d.]+)[^|]*\| ([\d.]+) to ([\d.]+) \| (\d+) \|", text, re.MULTILINE)
    metrics = read_results(results)["metrics"]
    assert [row[0] for row in told] == list(metrics)
    for name, *numbers in told:
        digits = 2 if "psnr" in name else 3
        assert [float(number) for number in numbers] == [
            *(round(metrics[name][key], digits) for key in ("mean", "low", "high")),
            metrics[name]["n"],
        ]
    assert "# `toy`, revision 3" in text
    assert "| vae | 0.3 M |" in text
    assert "| one | vae | 30 | 8 | 0.001 | 1.00 | 800 packs |" in text
    assert (out.parent / re.findall(r"\((.*\.png)\)", text)[0]).is_file()


def test_results_of_another_model_and_unknown_places_are_refused(tmp_path: Path) -> None:
    other = read_results(results_file(tmp_path / "old.json", revision="2"))
    model = model_folder(tmp_path / "toy")
    with pytest.raises(ValueError, match=r"revision 2, but .* revision 3; measure it first"):
        render_card(CardSources(model=model, results={"old.json": other}, runs=(), curves=None))
    with pytest.raises(ValueError, match="no such places: weights;"):
        render_card(CardSources(model=model, results={}, runs=(), curves=None), "{{name}} {{ weights }}")


def test_words_of_a_template_stay(tmp_path: Path) -> None:
    sources = CardSources(model=model_folder(tmp_path / "toy"), results={}, runs=(), curves=None)
    assert render_card(sources, "A {{name}} of {{shape}}: {curly}.") == "A toy of 5 frames of 56x64 pixels: {curly}.\n"


def test_runs_of_a_recipe_are_its_legs_and_runs_of_a_stage_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "recipe.json").write_text(json.dumps({"legs": {"small": {}, "large": {}, "later": {}}}))
    for leg in ("small", "large"):
        run_folder(tmp_path / "all" / leg, "vggt")
    runs = read_runs([tmp_path / "all"])
    assert [run.name for run in runs] == ["small", "large"]
    (panel,) = curves(runs).axes
    shown = [list(line.get_xdata()) for line in panel.lines if len(line.get_xdata())]
    assert shown == [[10, 30], [40, 60]]
    counted_on = read_runs([tmp_path / "all" / "small", run_folder(tmp_path / "on", "vggt", first=30)])
    assert list(curves(counted_on).axes[0].lines[1].get_xdata()) == [40, 60]
    with pytest.raises(ValueError, match=r"log\.jsonl"):
        read_runs([tmp_path])
