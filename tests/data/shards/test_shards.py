"""Shards are read by WebDataset and at random, appear whole, and say what is wrong with them."""

import hashlib
import io
import json
import shutil
import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_expander

from data.clips import write_full
from data.shards.packed import packed
from gen3r.data.dataset import ClipDataset
from gen3r.data.shards import reading
from gen3r.data.shards.members import file_name, packed_sizes, picture_key, unpacked_sizes
from gen3r.data.shards.packing import PackConfig, PackShard, finish_packing, plan_packing
from gen3r.data.shards.unpacking import UnpackClip, list_unpacking

NAMES = ("a", "b.2", "c", "d", "e")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(NAMES):
        write_full(folder / name, seed=number)
    return folder


@pytest.fixture(scope="module")
def shards(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About two clips in each."""
    return packed(folders, tmp_path_factory.mktemp("shards") / "out", shard_bytes=50_000)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def copied(folder: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_webdataset_sees_one_sample_per_clip(shards: Path) -> None:
    files = [str(path) for path in sorted(shards.glob("*.tar"))]
    assert len(files) > 1
    with ExitStack() as opened:
        streams = [{"url": file, "stream": opened.enter_context(Path(file).open("rb"))} for file in files]
        samples = {s["__key__"]: s for s in group_by_keys(tar_file_expander(streams))}
    clips = ClipDataset.open(shards)
    assert sorted(samples) == [f"{name}/clip" for name in clips.names]
    for clip in clips:
        sample = samples[f"{clip.name}/clip"]
        keys = {key for key in sample if not key.startswith("__")}
        assert keys == {
            *("scene.json", "cameras.json", "captions.txt", "frame00000.jpg", "frame00001.png", "frame00002.webp"),
            *(f"{part}{index:05d}.png" for part in ("depth", "mask") for index in range(3)),
        }
        assert json.loads(sample["scene.json"])["name"] == clip.name
        with Image.open(io.BytesIO(sample["frame00001.png"])) as picture:
            np.testing.assert_array_equal(np.asarray(picture), clip.rgb([1])[0].numpy())


def test_one_frame_is_read_whatever_lies_around_it(shards: Path, tmp_path: Path) -> None:
    folder = copied(shards, tmp_path / "out")
    clip = ClipDataset.open(folder)[2]
    expected = clip.rgb([1])
    assert isinstance(clip.files, reading.TarFiles)
    start, size = clip.files.spans["frames/frame00001.png"]
    path = clip.files.shard
    content = path.read_bytes()
    path.write_bytes(b"x" * start + content[start : start + size] + b"x" * (len(content) - start - size))
    assert torch.equal(clip.rgb([1]), expected)


def test_packing_again_gives_the_same_bytes(folders: Path, shards: Path, tmp_path: Path) -> None:
    assert hashes(packed(folders, tmp_path / "again", shard_bytes=50_000)) == hashes(shards)


def test_unpacking_gives_the_folders_back(folders: Path, shards: Path, tmp_path: Path) -> None:
    unpack = UnpackClip({"source": str(shards), "target": str(tmp_path / "out")})
    items = list_unpacking(shards, tmp_path / "out")
    unpack(items[0])
    assert len(list_unpacking(shards, tmp_path / "out")) == len(items) - 1
    for item in items:
        unpack(item)
    assert hashes(tmp_path / "out") == hashes(folders)


def test_what_a_killed_unpacking_left_is_removed(shards: Path, tmp_path: Path) -> None:
    for name in (".a.partial-abcd_123", ".b.partial-abcdefgh", ".a.partial-mine"):
        (tmp_path / "out" / name / "frames").mkdir(parents=True)
    UnpackClip({"source": str(shards), "target": str(tmp_path / "out")})({"key": "a"})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".a.partial-mine", ".b.partial-abcdefgh", "a"]


def test_the_limit_holds_and_splits_have_sets_of_their_own(folders: Path, shards: Path, tmp_path: Path) -> None:
    assert all(path.stat().st_size <= 50_000 + 10_240 for path in shards.glob("*.tar"))
    alone = packed(folders, tmp_path / "alone", shard_bytes=1, leave_out=frozenset({"c"}))
    index = [json.loads(line) for line in (alone / "train-index.jsonl").read_text().splitlines()]
    assert [shard["clips"] for shard in index[0]["shards"]] == [1, 1, 1, 1]
    assert sorted(entry["name"] for entry in index[1:]) == ["a", "b.2", "d", "e"]


def test_packing_goes_on_where_it_stopped(folders: Path, shards: Path, tmp_path: Path) -> None:
    config = PackConfig(source=folders, target=tmp_path / "out", shard_bytes=50_000)
    pack = PackShard({"source": str(folders), "target": str(config.target)})
    items = plan_packing(config)
    pack(items[0])
    (config.target / f"{items[1]['key']}.tar").write_bytes(b"killed before its part of the index was written")
    (config.target / f".{items[1]['key']}.tar.12345678.partial").write_bytes(b"killed while writing")
    with pytest.raises(ValueError, match="packing was not finished"):
        ClipDataset.open(config.target)
    with pytest.raises(ValueError, match=r"shards of .* are missing"):
        finish_packing(config)
    first = (config.target / f"{items[0]['key']}.tar").stat().st_mtime_ns
    with pytest.raises(ValueError, match="another size"):
        plan_packing(PackConfig(source=folders, target=config.target, shard_bytes=60_000))
    assert plan_packing(config) == items[1:]
    for item in items:
        pack(item)
    finish_packing(config)
    assert (config.target / f"{items[0]['key']}.tar").stat().st_mtime_ns == first
    assert hashes(config.target) == hashes(shards)
    with pytest.raises(ValueError, match="holds finished shards"):
        plan_packing(config)


@pytest.mark.parametrize("killed", ["between indexes", "before tidying", "while tidying", "before the plan goes"])
def test_packing_killed_while_finishing_is_finished(tmp_path: Path, killed: str) -> None:
    for name in ("a", "b"):
        write_full(tmp_path / "in" / name)
    write_full(tmp_path / "in" / "c", split="validation")
    config = PackConfig(source=tmp_path / "in", target=tmp_path / "out", shard_bytes=1)
    for item in plan_packing(config):
        PackShard({"source": str(config.source), "target": str(config.target)})(item)
    finished = copied(config.target, tmp_path / "finished")
    finish_packing(PackConfig(source=config.source, target=finished, shard_bytes=1))
    indexes, parts = sorted(finished.glob("*-index.jsonl")), sorted(config.target.glob(".*.part.json"))
    assert (len(indexes), len(parts)) == (2, 3)
    for index in indexes[: 1 if killed == "between indexes" else 2]:
        (config.target / index.name).write_bytes(index.read_bytes())
    for part in parts[: {"while tidying": 2, "before the plan goes": 3}.get(killed, 0)]:
        part.unlink()
    with pytest.raises(ValueError, match="another size"):
        plan_packing(PackConfig(source=config.source, target=config.target, shard_bytes=60_000))
    assert plan_packing(config) == []
    assert [path.name for path in finish_packing(config)] == [
        f"{split}-index.jsonl" for split in ("train", "validation")
    ]
    assert hashes(config.target) == hashes(finished)
    assert ClipDataset.open(config.target).names == ("a", "b", "c")
    with pytest.raises(ValueError, match="holds finished shards"):
        plan_packing(config)


def rewrite(folder: Path, line: int, **changes: Any) -> None:
    path = folder / "train-index.jsonl"
    lines = path.read_text().splitlines()
    lines[line] = json.dumps(json.loads(lines[line]) | changes)
    path.write_text("\n".join(lines) + "\n")


def misstate(folder: Path, **changes: Any) -> None:
    header = json.loads((folder / "train-index.jsonl").read_text().splitlines()[0])
    rewrite(folder, 0, shards=[header["shards"][0] | changes, *header["shards"][1:]])


def cut(folder: Path) -> None:
    path = folder / "train-00000.tar"
    path.write_bytes(path.read_bytes()[:-10_240])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "train-00001.tar").unlink(), "train-00001.tar, which is missing"),
        (cut, "its index says"),
        (lambda folder: rewrite(folder, 0, version=2), "got 'gen3r-shards', 2"),
        (lambda folder: rewrite(folder, 0, shards=[{"file": "x"}]), "misstates its shards"),
        *[
            (lambda folder, change=change: misstate(folder, **change), f"shards.*{next(iter(change))}")
            for change in (
                *[{"bytes": value} for value in ("14028800", -1, True, 1.5)],
                *[{"clips": value} for value in ("3", -1, None)],
                *[{"sha256": value} for value in (7, "", "no hash")],
                *[{"file": value} for value in (7, "", "..", ".tar", "a/b.tar", "a.txt", "a\0.tar")],
            )
        ],
        (lambda folder: rewrite(folder, 0, shards=3), "misstates its shards"),
        (lambda folder: rewrite(folder, 0, shards=["x"]), "misstates its shards"),
        (lambda folder: rewrite(folder, 1, start=10**9), "beyond the end"),
        (lambda folder: rewrite(folder, 1, shard=77), "misstates where"),
        (lambda folder: rewrite(folder, 1, record={}), "describes no clip"),
        (lambda folder: (folder / "train-index.jsonl").write_text("{"), "is damaged"),
        (lambda folder: (folder / "train-index.jsonl").unlink(), "no index names"),
        (lambda folder: (folder / "other.tar").write_bytes(b"x"), "other.tar, which no index names"),
    ],
)
def test_damage_is_named(shards: Path, tmp_path: Path, damage: Any, message: str) -> None:
    folder = copied(shards, tmp_path / "out")
    damage(folder)
    with pytest.raises(ValueError, match=message):
        [clip.rgb([0]) for clip in ClipDataset.open(folder)]


def test_names_outside_the_folder_are_refused(shards: Path, tmp_path: Path) -> None:
    folder = copied(shards, tmp_path / "out")
    header = json.loads((folder / "train-index.jsonl").read_text().splitlines()[0])
    header["shards"][0]["file"] = "../train-00000.tar"
    rewrite(folder, 0, **header)
    with pytest.raises(ValueError, match="a tar file beside it"):
        ClipDataset.open(folder)


def test_offsets_are_those_of_the_tar_file(shards: Path) -> None:
    places = {}
    for path in shards.glob("*.tar"):
        with tarfile.open(path) as tar:
            places |= {member.name: (member.offset_data, member.size) for member in tar}
    found = {}
    for clip in ClipDataset.open(shards):
        assert isinstance(clip.files, reading.TarFiles)
        for key in (name.rpartition("clip.")[2] for name in places if name.startswith(f"{clip.name}/")):
            found[f"{clip.name}/clip.{key}"] = clip.files.spans[file_name(key)]
    assert found == places


@given(st.lists(st.sampled_from([".jpg", ".png"]), max_size=8), st.integers(0, 3))
def test_sizes_survive_packing(suffixes: list[str], depth: int) -> None:
    files = [("scene.json", 7)]
    files += [(picture_key("frames", index, suffix), 10 + index) for index, suffix in enumerate(suffixes)]
    files += [(picture_key("depth", index, ".png"), index) for index in range(depth)]
    assert list(unpacked_sizes(json.loads(json.dumps(packed_sizes(files))))) == files


FREE_PATHS = (
    "frames/../../../outside.png",
    "/tmp/outside.png",
    "../scene.json",
    "frame00000.png/../../outside",
    "frame00000.svg",
    "frame٠٠٠٠٠.png",
    "scene.json\n",
    "captions.txt/",
    "notes.txt",
    "..",
    "",
)


@pytest.mark.parametrize("key", FREE_PATHS)
def test_only_known_keys_have_a_file_name(key: str) -> None:
    with pytest.raises(ValueError, match="no file of a clip"):
        file_name(key)


def hostile(folder: Path, *files: Any) -> None:
    """The entry of the first clip with some of its files stated otherwise, or more of them."""
    entry = json.loads((folder / "train-index.jsonl").read_text().splitlines()[1])
    changed = {file[0]: file for file in files if isinstance(file, list) and file and isinstance(file[0], str)}
    kept = [changed.pop(file[0], file) for file in entry["files"]]
    rewrite(folder, 1, files=kept + [file for file in files if file not in kept])


@pytest.mark.parametrize(
    "files",
    [
        *[([key, 3],) for key in FREE_PATHS],
        *[([key, [3]],) for key in ("frame.png/../../x", "frame.svg", "frame", "notes.txt", "frame.png.png")],
        (["frame00007.png", 3],),
        (["scene.json", 3], ["scene.json", 4]),
        *[(["captions.txt", size],) for size in (-1, "3", 1.5, True, None, [3], 10**12)],
        *[(["depth.png", size],) for size in ([1, -1, 1], ["1"] * 3, "123", 7, {"0": 1}, [10**12] * 3)],
        (7,),
        ([],),
        (["captions.txt"],),
        ([["captions.txt"], 3],),
    ],
)
def test_an_index_cannot_name_other_places(shards: Path, tmp_path: Path, files: Any) -> None:
    folder = copied(shards, tmp_path / "deep" / "er" / "in")
    hostile(folder, *files)
    name = json.loads((folder / "train-index.jsonl").read_text().splitlines()[1])["name"]
    before = hashes(tmp_path)
    clips = ClipDataset.open(folder)
    with pytest.raises(ValueError, match=r"train-index\.jsonl"):
        clips[clips.names.index(name)]
    target = tmp_path / "deep" / "er" / "out"
    unpack = UnpackClip({"source": str(folder), "target": str(target)})
    with pytest.raises(ValueError, match=r"train-index\.jsonl"):
        unpack({"key": name})
    assert hashes(tmp_path) == before


@pytest.mark.parametrize(
    "changes", [{"start": -512}, {"start": "0"}, {"start": True}, {"shard": -1}, {"shard": True}, {"files": None}]
)
def test_places_of_a_clip_are_whole_numbers_within_a_shard(shards: Path, tmp_path: Path, changes: Any) -> None:
    folder = copied(shards, tmp_path / "in")
    rewrite(folder, 1, **changes)
    with pytest.raises(ValueError, match=r"train-index\.jsonl misstates where"):
        list(ClipDataset.open(folder))


def test_the_clip_in_the_shard_is_the_one_that_its_index_describes(shards: Path, tmp_path: Path) -> None:
    folder = copied(shards, tmp_path / "in")
    entry = json.loads((folder / "train-index.jsonl").read_text().splitlines()[1])
    rewrite(folder, 1, name="other", record=entry["record"] | {"name": "other"})
    with pytest.raises(ValueError, match="disagree"):
        list(ClipDataset.open(folder))
    rewrite(folder, 1, name="another")
    with pytest.raises(ValueError, match="'another'"):
        ClipDataset.open(folder)


def test_the_unpacker_names_files_itself(folders: Path, tmp_path: Path) -> None:
    source = tmp_path / "in" / "a"
    shutil.copytree(folders / "a", source)
    for number, path in enumerate(sorted((source / "frames").iterdir())):
        path.rename(path.with_name(f"my picture {number}{path.suffix.upper()}"))
    UnpackClip({"source": str(source.parent), "target": str(tmp_path / "out")})({"key": "a"})
    assert hashes(tmp_path / "out" / "a") == hashes(folders / "a")
