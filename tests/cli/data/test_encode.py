"""``gen3r data encode`` from clip folders to shards that open."""

from pathlib import Path

import pytest

from cli.running import Runner
from gen3r.train.latents import model_identities, open_latents
from prepare.clip_folders import write_dataset


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_dataset_is_encoded_once(model: Path, tmp_path: Path, gen3r: Runner) -> None:
    dataset = write_dataset(tmp_path / "clips", count=2, frames=5)
    (dataset / "clip1" / "frames" / "frame00000.png").write_bytes(b"")
    out = tmp_path / "latents"
    words = ("data", "encode", dataset, "--out", out, "--model", model, "--shard-clips", 1, "--no-text")
    made = gen3r(*words)
    assert made.code == 0, made.stderr
    assert "2 of 2 latent shards" in made.stdout
    assert "0/clip1@0 was left out" in made.stderr
    assert "delete latents-00001.safetensors and run the command again" in made.stderr
    identities = {name: identity for name, identity in model_identities(model).items() if name != "text_encoder"}
    latents = open_latents(out, identities)
    assert [item.clip for item in latents.items] == ["clip0"]
    assert not latents.has_text
    assert "2 done" not in gen3r(*words).stdout
    other = gen3r(*words, "--seed", 7)
    assert other.code == 2
    assert "seed 0, got 7" in other.stderr


def test_what_cannot_be_encoded_is_told(model: Path, tmp_path: Path, gen3r: Runner) -> None:
    for words, expected in (
        ((tmp_path / "nothing",), "not a folder"),
        ((write_dataset(tmp_path / "clips", count=1), "--size", "100x112"), "height must be a multiple"),
        ((tmp_path / "clips", "--split", "validation"), "no clip of the split 'validation'"),
        ((tmp_path / "clips", "--networks", tmp_path), "found nothing new"),
    ):
        told = gen3r("data", "encode", *words, "--out", tmp_path / "latents", "--model", model)
        assert told.code == 2
        assert expected in told.stderr
