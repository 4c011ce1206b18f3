import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gen3r.hub.cache import KnownFile
from gen3r.hub.verify import count_tensors, file_digest, read_header, verify_files, verify_folder

WEIGHTS = "transformer/diffusion_pytorch_model-00001-of-00003.safetensors"
INDEX = "transformer/diffusion_pytorch_model.safetensors.index.json"


@pytest.fixture
def folder(standin: Path, tmp_path: Path) -> Path:
    return shutil.copytree(standin, tmp_path / "model")


def known_of(folder: Path) -> dict[str, KnownFile]:
    return {
        path.relative_to(folder).as_posix(): KnownFile(
            size=path.stat().st_size, digest=hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_whole_folder_is_good(folder: Path) -> None:
    known = known_of(folder)
    reports = verify_files(folder, known)
    assert [report.problem for report in reports] == [None] * len(known)
    assert all(report.hashed for report in reports)
    assert {report.problem for report in verify_folder(folder)} == {None}


def test_each_kind_of_damage_is_named_where_it_is(folder: Path) -> None:
    known = known_of(folder)
    (folder / "vggt/config.json").unlink()
    os.truncate(folder / WEIGHTS, 1000)
    scheduler = folder / "scheduler/scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("2.0", "3.0"))
    problems = {report.name: report.problem for report in verify_files(folder, known) if report.problem is not None}
    assert problems.pop("vggt/config.json") == "missing"
    assert problems.pop(WEIGHTS) == f"expected {known[WEIGHTS].size} bytes, got 1000"
    assert str(problems.pop("scheduler/scheduler_config.json")).startswith("expected the hash")
    assert problems == {}


def test_sizes_alone_see_no_changed_byte(folder: Path) -> None:
    known = known_of(folder)
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    assert {report.problem for report in verify_files(folder, known, hashes=False)} == {None}
    assert [report.name for report in verify_files(folder, known) if report.problem is not None] == [WEIGHTS]


@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_cut_off_weights_are_seen_by_their_header(folder: Path, kept: int) -> None:
    size = (folder / WEIGHTS).stat().st_size
    os.truncate(folder / WEIGHTS, kept % size)
    problems = {report.name: report.problem for report in verify_folder(folder) if report.problem is not None}
    assert list(problems) == [WEIGHTS]
    assert "safetensors" in str(problems[WEIGHTS])


def test_weights_that_are_none_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for content in (b"\0" * 8, (2).to_bytes(8, "little") + b"[]", (30).to_bytes(8, "little") + b"?" * 30):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="safetensors"):
            read_header(path)


def test_damage_that_was_published_is_told_from_damage_on_the_way(folder: Path) -> None:
    os.truncate(folder / WEIGHTS, 1000)
    wrong = [report for report in verify_files(folder, known_of(folder)) if report.problem is not None]
    assert [(report.name, report.as_published) for report in wrong] == [(WEIGHTS, True)]


def test_indices_name_the_shards_they_miss(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    problems = {report.name: report.problem for report in verify_folder(folder) if report.problem is not None}
    assert problems == {INDEX: f"names shards that are not there: {WEIGHTS}"}
    (folder / INDEX).write_text(json.dumps({"weight_map": ["no", "map"]}))
    assert "weight_map" in str(next(report.problem for report in verify_folder(folder) if report.name == INDEX))


def test_small_files_have_the_hash_that_git_gives_them(folder: Path) -> None:
    path = folder / INDEX
    git = subprocess.run(["git", "hash-object", "--no-filters", path], capture_output=True, text=True, check=True)
    assert file_digest(path, like="0" * 40) == git.stdout.strip()


def test_tensors_are_counted_from_headers(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(()), "track_head.c": torch.zeros(5)}, path, {"format": "pt"})
    assert count_tensors([path]) == (3, 12)
    assert count_tensors([path, path], ("track_head.",)) == (4, 14)
