from pathlib import Path

from PIL import Image

from cli.running import Runner
from gen3r.data.schema import clip_folders, read_clip
from gen3r.eval.benchmarks.clips import read_pack
from gen3r.latents.grid import LatentGrid

SMALL = ("--frames", 1, "--size", "112x112", "--samples", 1, "--device", "cpu")


def test_clips_are_written_with_a_sheet(tmp_path: Path, gen3r: Runner) -> None:
    outcome = gen3r(
        "synth", "--count", 2, "--seed", 3, *SMALL, "--out", tmp_path / "clips", "--sheet", tmp_path / "s.png"
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    folders = clip_folders(tmp_path / "clips")
    assert [read_clip(folder).seed for folder in folders] == [3, 4]
    assert read_clip(folders[0]).rgb.shape == (1, 112, 112, 3)
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 112
    again = gen3r("synth", "--count", 1, *SMALL, "--out", tmp_path / "clips")
    assert again.code == 2
    assert "not empty" in again.stderr


def test_clips_are_packed(tmp_path: Path, gen3r: Runner) -> None:
    pack = tmp_path / "held-out.safetensors"
    outcome = gen3r("synth", "--count", 1, "--seed", 900_000_000, *SMALL, "--pack", "--out", pack)
    assert (outcome.code, outcome.stderr) == (0, "")
    (clip,) = read_pack(pack, [900_000_000], LatentGrid(1, 112, 112))
    assert clip.caption
    assert gen3r("synth", "--count", 1, *SMALL, "--pack", "--out", pack).code == 2
