import json
from pathlib import Path

from PIL import Image

from cli.running import Runner
from gen3r.eval.report import read_results


def test_the_worst_clips_are_made_again_and_drawn(tmp_path: Path, gen3r: Runner, model: Path) -> None:
    results, out = tmp_path / "results.json", tmp_path / "worst"
    options = ("--pack", tmp_path / "clips.safetensors", "--model", model, "--device", "cpu")
    measured = gen3r("eval", "synthetic", *options, "--count", 1, "--steps", 1, "--mean-map-count", 1, "--out", results)
    assert measured.code == 0
    made = gen3r("eval", "gallery", "--results", results, "--out", out, "--worst", 1, *options)
    assert (made.code, "warning" in made.stderr) == (0, False)
    assert "consistency of frames, depth and cameras: not in the results, measured now" in made.stdout
    record = json.loads((out / "gallery.json").read_text())
    assert [ranking["key"] for ranking in record["lists"]] == ["depth", "consistency", "psnr"]
    numbers = {clip: scores["gen1_last_psnr"] for clip, scores in read_results(results)["clips"].items()}
    (worst,) = record["lists"][2]["worst"]
    assert numbers == {worst["clip"]: worst["number"]}
    assert max(ranking["largest_change"] for ranking in record["lists"]) < 1e-6  # made again exactly
    index = (out / "README.md").read_text()
    sheets = sorted((out / "sheets").iterdir())
    assert {sheet.stem for sheet in sheets} == {ranking["worst"][0]["clip"] for ranking in record["lists"]}
    assert all(f"(sheets/{sheet.name})" in index for sheet in sheets)
    assert worst["cause"] == "no single cause"  # one clip says nothing about causes
    with Image.open(out / "index.png") as page, Image.open(sheets[0]) as sheet:
        assert page.width == sheet.width

    again = gen3r("eval", "gallery", "--results", results, "--out", out, *options)
    assert (again.code, "not empty" in again.stderr) == (2, True)
    wanted = gen3r("eval", "gallery", "--results", results, "--out", tmp_path / "b", "--data", tmp_path, *options)
    assert (wanted.code, "leave --data out" in wanted.stderr) == (2, True)
