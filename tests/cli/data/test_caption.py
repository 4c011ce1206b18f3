"""``gen3r data caption`` with a tiny model and from labels."""

from pathlib import Path

from cli.running import Runner
from gen3r.data.schema.stored import StoredClip
from prepare.captioning.tiny_vlm import write_vlm
from prepare.clip_folders import write_dataset


def test_a_dataset_is_captioned_once(tmp_path: Path, gen3r: Runner) -> None:
    dataset, model = write_dataset(tmp_path / "clips", count=2, captions=0), write_vlm(tmp_path / "vlm")
    words = ("data", "caption", dataset, "--model", model, "--prompts", 2, "--side", 28, "--attempts", 8)
    made = gen3r(*words)
    assert made.code == 0, made.stderr
    assert "have captions" in made.stdout
    assert all(len(StoredClip.open(dataset / name).captions) == 2 for name in ("clip0", "clip1"))
    assert gen3r(*words).stdout.splitlines() == [f"All clips in {dataset} have captions."]


def test_what_has_no_captions_is_told(tmp_path: Path, gen3r: Runner) -> None:
    dataset = write_dataset(tmp_path / "clips", count=1, captions=0)
    told = gen3r("data", "caption", dataset, "--source", "labels")
    assert told.code == 0
    assert "1 clips in" in told.stdout
    assert "have no labels to make sentences of, such as clip0" in told.stdout
    assert "captions.txt" in told.stdout
    assert "again" not in told.stdout
    assert "clip0" not in told.stderr  # no failure
    unknown = gen3r("data", "caption", dataset, "--model", tmp_path)
    assert unknown.code == 2
    assert "expected an image-text-to-text model" in unknown.stderr
