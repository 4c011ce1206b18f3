"""What is written is what the official loader reads, and comes back as it was."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.clips import random_clip, write_full
from gen3r.data.dataset import ClipDataset
from gen3r.data.official.layout import LISTS
from gen3r.data.official.reading import FromOfficial, FromOfficialConfig, find_official, list_from_official
from gen3r.data.official.writing import ToOfficial, ToOfficialConfig, finish_official, list_to_official
from gen3r.data.schema import StoredClip, write_clip


def to_official(source: Path, target: Path, **options: Any) -> dict[str, int]:
    config = ToOfficialConfig(source=source, target=target, **options)
    write = ToOfficial({"source": str(source), "target": str(target), "name": config.name})
    for item in list_to_official(config):
        write(item)
    return dict(finish_official(config))


def from_official(source: Path, target: Path, **options: Any) -> None:
    config = FromOfficialConfig(source=source, target=target, **options)
    settings = {
        "source": str(source),
        "target": str(target),
        "licence": "x",
        "scale_kind": "unknown",
        "link": config.link,
    }
    read = FromOfficial(settings)
    for item in list_from_official(config):
        read(item)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_full(folder / "a", seed=1)
    write_full(folder / "b", seed=2)
    write_full(folder / "c", seed=3, split="held-out")
    write_full(folder / "d", seed=4, frames=4, video=True)
    return folder


@pytest.fixture(scope="module")
def official(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("official")
    assert to_official(folders, root, name="re10k") == {"train": 3, "test": 1}
    return root


def lines(root: Path, split: str) -> list[tuple[str, ...]]:
    columns = [(root / f"{split}_{name}.txt").read_text().splitlines() for name in LISTS]
    return list(zip(*columns, strict=True))


def load_as_the_official_code_does(videos: str, cameras: str) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """`preprocess_cameras`: paths verbatim, intrinsics of every frame, the last part of file_path, poses as given."""
    frames = json.loads(Path(cameras).read_text())["frames"]
    pictures = [Path(videos) / frame["file_path"].split("/")[-1] for frame in frames]
    K = np.array([[[f["fl_x"], 0, f["cx"]], [0, f["fl_y"], f["cy"]], [0, 0, 1]] for f in frames])
    sizes = {(frame["h"], frame["w"]) for frame in frames}
    for picture in pictures:
        with Image.open(picture) as opened:
            assert sizes == {(opened.height, opened.width)}
    return pictures, K, np.array([frame["transform_matrix"] for frame in frames], dtype=np.float32)


def test_the_official_loader_finds_the_same_cameras(folders: Path, official: Path) -> None:
    rows = lines(official, "train") + lines(official, "test")
    assert [Path(videos).parent.name for videos, _, _ in rows] == ["a", "b", "d", "c"]
    for videos, cameras, captions in rows:
        clip = StoredClip.open(folders / Path(videos).parent.name)
        assert Path(captions).read_text().splitlines() == list(clip.captions)
        pictures, K, c2w = load_as_the_official_code_does(videos, cameras)
        assert pictures == sorted(pictures)  # the geometry adapter's loader sorts names
        assert {picture.suffix for picture in pictures} <= {".png", ".jpg", ".jpeg"}
        np.testing.assert_allclose(K, clip.cameras.intrinsics.numpy(), atol=1e-6)
        # a point in front of a camera, 2 to its right and 1 below, is there for the official rays, too
        point = c2w @ np.array([2.0, 1.0, 5.0, 1.0])
        seen = np.einsum("fij,fj->fi", clip.cameras.extrinsics.numpy(), point)
        np.testing.assert_allclose(seen, np.broadcast_to([2.0, 1.0, 5.0, 1.0], seen.shape), atol=1e-5)
        shown = [np.asarray(Image.open(picture).convert("RGB")) for picture in pictures]
        np.testing.assert_array_equal(np.stack(shown), clip.rgb(range(len(shown))).numpy())


def test_everything_comes_back(folders: Path, official: Path, tmp_path: Path) -> None:
    from_official(official, tmp_path / "back")
    before, after = ClipDataset.open(folders), ClipDataset.open(tmp_path / "back" / "re10k")
    assert after.names == before.names
    for one, other in zip(before, after, strict=True):
        every = range(one.record.frames)
        torch.testing.assert_close(other.cameras.extrinsics, one.cameras.extrinsics, atol=1e-6, rtol=0)
        torch.testing.assert_close(other.cameras.intrinsics, one.cameras.intrinsics, atol=1e-6, rtol=0)
        assert torch.equal(other.rgb(every), one.rgb(every))
        assert other.captions == one.captions
        for first, second in ((one.depth(every), other.depth(every)), (one.masks(every), other.masks(every))):
            assert first is not None
            assert second is not None
            assert torch.equal(first, second)
        assert (other.record.split, other.record.source, other.record.times) == (
            one.record.split,
            one.record.source,
            one.record.times,
        )


def test_writing_and_reading_again_changes_nothing(folders: Path, official: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in official.rglob("*.json")}
    assert to_official(folders, official, name="re10k") == {"train": 3, "test": 1}
    assert {path: path.stat().st_mtime_ns for path in official.rglob("*.json")} == before
    from_official(official, tmp_path / "back")
    assert list_from_official(FromOfficialConfig(source=official, target=tmp_path / "back")) == []


def test_every_name_of_a_clip_comes_back(tmp_path: Path) -> None:
    names = ("A.b_c-", "a" * 200)
    for name in names:
        write_clip(random_clip(frames=1), tmp_path / "in" / name, split="train", source="x", licence="CC0-1.0")
    to_official(tmp_path / "in", tmp_path / "official")
    from_official(tmp_path / "official", tmp_path / "back")
    assert ClipDataset.open(tmp_path / "back" / "x").names == names


def test_a_second_dataset_joins_the_lists(folders: Path, tmp_path: Path) -> None:
    write_full(tmp_path / "more" / "a", seed=9)
    root = tmp_path / "root"
    to_official(folders, root, name="re10k", relative=True)
    assert to_official(tmp_path / "more", root, name="co3d", relative=True) == {"train": 4, "test": 1}
    assert [row[0] for row in lines(root, "train")] == [
        "co3d/a/images",
        "re10k/a/images",
        "re10k/b/images",
        "re10k/d/images",
    ]
    assert [row[0] for row in lines(root / "co3d", "train")] == ["a/images"]
    assert [scene.key for scene in find_official(root)] == ["co3d/a", "re10k/a", "re10k/b", "re10k/d", "re10k/c"]
    assert all(scene.images.is_dir() for scene in find_official(root))


def foreign(root: Path, **changes: Any) -> Path:
    """A scene that somebody else wrote: no record of ours, no lists."""
    clip = random_clip(frames=3)
    folder = root / "set" / "scene 1"
    (folder / "images").mkdir(parents=True)
    frames = []
    for index, pose in enumerate(torch.linalg.inv(clip.cameras.extrinsics.double()).tolist()):
        Image.fromarray(clip.rgb[index].numpy()).save(folder / "images" / f"{index}.png")
        frames.append(
            {"file_path": f"./anywhere/{index}.png", "w": 16, "h": 12, "fl_x": 15.0, "fl_y": 15.0, "cx": 8.0, "cy": 6.0}
            | {"transform_matrix": pose}
            | changes
        )
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))
    (folder / "captions.txt").write_text("one\n\ntwo\n")
    return folder


def test_scenes_of_others_are_read(tmp_path: Path) -> None:
    folder = foreign(tmp_path / "root")
    (folder / "images" / "1.png").unlink()
    from_official(tmp_path / "root", tmp_path / "out")
    clip = StoredClip.open(tmp_path / "out" / "set" / "scene-1")
    assert clip.captions == ("one", "two")
    assert clip.record.notes == ("1 frames without a picture were left out",)
    assert torch.equal(clip.rgb([0, 1]), random_clip(frames=3).rgb[[0, 2]])
    expected = random_clip(frames=3).cameras.extrinsics[[0, 2]]
    torch.testing.assert_close(clip.cameras.extrinsics, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w": None}, "nerfstudio"),
        ({"transform_matrix": np.zeros((4, 4)).tolist()}, "no rotation"),
        ({"transform_matrix": np.diag([2.0, 2, 2, 1]).tolist()}, "rotation"),
        ({"w": 20}, "pixels"),
    ],
)
def test_unusable_scenes_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    foreign(tmp_path / "root", **changes)
    with pytest.raises(ValueError, match=message):
        from_official(tmp_path / "root", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("scene.json"))


def test_pictures_are_copied_unless_links_are_asked_for(tmp_path: Path) -> None:
    pictures = foreign(tmp_path / "root") / "images"
    elsewhere = tmp_path / "private"
    (pictures / "1.png").rename(elsewhere)
    (pictures / "1.png").symlink_to(elsewhere)
    from_official(tmp_path / "root", tmp_path / "copied")
    from_official(tmp_path / "root", tmp_path / "linked", link=True)
    copied, linked = (sorted((tmp_path / name).rglob("*.png")) for name in ("copied", "linked"))
    assert [path.stat().st_nlink for path in copied] == [1, 1, 1]
    assert [path.stat().st_nlink for path in linked] == [2, 1, 2]
    assert elsewhere.stat().st_nlink == 1
    assert [path.read_bytes() for path in copied] == [path.read_bytes() for path in linked]


def test_a_linked_folder_of_pictures_is_not_linked_into(tmp_path: Path) -> None:
    folder = foreign(tmp_path / "root")
    (folder / "images").rename(tmp_path / "private")
    (folder / "images").symlink_to(tmp_path / "private")
    from_official(tmp_path / "root", tmp_path / "linked", link=True)
    assert [path.stat().st_nlink for path in (tmp_path / "linked").rglob("*.png")] == [1, 1, 1]


def test_only_files_of_pictures_are_read(tmp_path: Path) -> None:
    folder = foreign(tmp_path / "root")
    (folder / "images" / "1.png").rename(folder / "images" / "1.key")
    path = folder / "transforms.json"
    path.write_text(path.read_text().replace("1.png", "1.key"))
    with pytest.raises(ValueError, match=r"1\.key, .*is no picture"):
        from_official(tmp_path / "root", tmp_path / "out")


def test_writing_does_not_link_through_a_symlink(folders: Path, tmp_path: Path) -> None:
    shutil.copytree(folders / "a", tmp_path / "in" / "a")
    picture = tmp_path / "in" / "a" / "frames" / "frame00000.jpg"
    picture.rename(tmp_path / "private")
    picture.symlink_to(tmp_path / "private")
    to_official(tmp_path / "in", tmp_path / "out", name="x")
    assert (tmp_path / "private").stat().st_nlink == 1
    assert (tmp_path / "out/x/a/images/frame00000.jpg").read_bytes() == (tmp_path / "private").read_bytes()


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda scene: (scene / "depth" / "frame00001.png").unlink(), "depth holds 2 pictures"),
        (lambda scene: (scene / "masks" / "frame00002.png").unlink(), "masks holds 2 pictures"),
        (lambda scene: shutil.rmtree(scene / "masks"), "masks holds 0 pictures"),
        (lambda scene: (scene / "captions.txt").write_bytes(b"caf\xe9"), r"captions\.txt is not UTF-8"),
        (lambda scene: edit(scene / "gen3r.json", name="z"), "names the clip z"),
        (lambda scene: edit(scene / "gen3r.json", frames=2, times=None), "2 frames"),
    ],
)
def test_a_damaged_scene_is_refused_and_leaves_nothing(
    official: Path, tmp_path: Path, damage: Any, message: str
) -> None:
    shutil.copytree(official / "re10k" / "a", tmp_path / "root" / "re10k" / "a")
    damage(tmp_path / "root" / "re10k" / "a")
    with pytest.raises(ValueError, match=message) as caught:
        from_official(tmp_path / "root", tmp_path / "out")
    assert type(caught.value) is ValueError
    assert not list((tmp_path / "out").rglob("*.*"))


def test_lists_that_name_places_outside_cannot_become_relative(folders: Path, tmp_path: Path) -> None:
    elsewhere, root = foreign(tmp_path / "elsewhere"), tmp_path / "root"
    (root / "other").mkdir(parents=True)
    for name, inside in zip(LISTS, ("images", "transforms.json", "captions.txt"), strict=True):
        (root / "other" / f"train_{name}.txt").write_text(f"{elsewhere / inside}\n")
    with pytest.raises(ValueError, match=r"outside .*--relative"):
        to_official(folders, root, name="re10k", relative=True)
    assert [path.name for path in root.iterdir()] == ["other"]
    assert to_official(folders, root, name="re10k") == {"train": 4, "test": 1}


def test_lists_must_be_text(tmp_path: Path) -> None:
    foreign(tmp_path)
    for name in LISTS:
        (tmp_path / f"train_{name}.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match=r"train_videos_dirs\.txt is not UTF-8"):
        find_official(tmp_path)


def test_what_a_killed_run_left_is_removed(folders: Path, official: Path, tmp_path: Path) -> None:
    """Hidden folders of those scenes that are written again, and of no others."""
    written, back = tmp_path / "to" / "x", tmp_path / "back" / "re10k"
    for target in (written, back):
        for name in (".a.partial-abcd_123", ".a.partial-x.partial-abcdefgh", ".z.partial-abcdefgh"):
            (target / name / "images").mkdir(parents=True)
    to_official(folders, tmp_path / "to", name="x")
    from_official(official, tmp_path / "back")
    for target in (written, back):
        hidden = sorted(path.name for path in target.iterdir() if path.name.startswith("."))
        assert hidden == [".a.partial-x.partial-abcdefgh", ".z.partial-abcdefgh"]


def test_lists_must_align(official: Path, tmp_path: Path) -> None:
    for name in LISTS:
        text = (official / f"train_{name}.txt").read_text()
        (tmp_path / f"train_{name}.txt").write_text(text)
    path = tmp_path / "train_captions_paths.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match=r"\[3, 3, 2\] lines"):
        find_official(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match="belong together"):
        find_official(tmp_path)
    with pytest.raises(ValueError, match="no official layout"):
        find_official(tmp_path / "nothing")
