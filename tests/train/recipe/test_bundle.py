"""A few files as a few small ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gen3r.train.recipe import bundle
from gen3r.train.recipe.bundle import INDEX, fold, narrow_file, narrowed, read_index, read_weights, unfold


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two networks of a run."""
    for name, metadata in (("vae", None), ("vggt", {"format": "pt"})):
        folder = tmp_path / "run" / name / "export"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text('{"width": 4}')
        save_file({f"w{i}": torch.randn(64, 4) for i in range(3)}, folder / "model.safetensors", metadata)
    return tmp_path / "run"


def files_of(run: Path) -> dict[str, Path]:
    return {str(path.relative_to(run)): path for path in sorted(run.rglob("*")) if path.is_file()}


def test_what_is_folded_unfolds_elsewhere(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "SHARD_BYTES", 3000)
    there, back = tmp_path / "portable", tmp_path / "back"
    state = {"a": torch.ones(3), "b": torch.zeros(2, 2)}
    for _ in range(2):  # the second time replaces the first
        fold(there, files_of(run), {"vae/state.safetensors": state}, {"progress": 7})
    shards = sorted(there.glob("*.safetensors"))
    assert [path.name for path in shards] == sorted(read_index(there)["shards"])
    assert len(shards) > 2
    assert all(path.stat().st_size < 3000 + 1000 for path in shards)
    contents = unfold(there, back, ["vae/"])
    assert torch.equal(contents["vae/state.safetensors"]["a"], state["a"])
    assert not (back / "vggt").exists()
    for name in ("vae/export/config.json", "vae/export/model.safetensors"):
        assert (back / name).is_file()
    old, new = (read_weights(place / "vae/export/model.safetensors") for place in (run, back))
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_what_is_not_whole_or_of_something_else_is_refused(run: Path, tmp_path: Path) -> None:
    there = tmp_path / "portable"
    fold(there, files_of(run), {}, {})
    next(there.glob("*.safetensors")).unlink()
    with pytest.raises(ValueError, match="is not whole: it lacks weights-"):
        read_index(there)
    with pytest.raises(ValueError, match="expected a new folder"):
        fold(run, {}, {}, {})
    with pytest.raises(ValueError, match=f"found no {INDEX}"):
        read_index(tmp_path)


def test_weights_are_narrowed_where_they_fit(run: Path) -> None:
    assert narrowed(torch.tensor([1.0, 2.0])).dtype == torch.float16
    assert narrowed(torch.tensor([1.0, 1e6])).dtype == torch.float32
    path = run / "vae/export/model.safetensors"
    before = read_weights(path)
    narrow_file(path)
    after = read_weights(path)
    assert all(torch.equal(after[name], before[name].half()) for name in before)
