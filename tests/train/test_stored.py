"""Clips of stored datasets: pixels and cameras agree, draws repeat, damage does not stop a run."""

import logging
from collections import Counter
from pathlib import Path

import pytest
import torch

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import project
from gen3r.data.dataset import ClipDataset
from gen3r.data.sampling import ClipSampler
from gen3r.train.order import EveryPosition
from gen3r.train.stored import ClipForm, MixedClips, Scenes, StoredClips
from train.tiny_dataset import scene_of, write_dataset

SIDE = 56
FIXED = ClipForm(sampler=ClipSampler(frames=4, fixed=True), height=SIDE, width=SIDE, depth=True)
DRAWN = ClipForm(sampler=ClipSampler(frames=4), height=SIDE, width=SIDE, depth=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder / "two", 2, source="dl3dv")
    write_dataset(folder / "one", 1, source="mvimgnet", depth=False, captions=(), first=2)
    return folder


def scenes(folder: Path) -> Scenes:
    return Scenes.of(ClipDataset.open(folder))


def test_dots_stay_where_cropped_cameras_see_them(data: Path) -> None:
    source = StoredClips([scenes(data / "two")], FIXED)
    clips = source.get([1])
    assert clips.rgb.shape == (1, 4, SIDE, SIDE, 3)
    known = scene_of(1, 8)
    cameras = Cameras(clips.extrinsics[0], clips.intrinsics[0], SIDE, SIDE)
    pixels, depths = project(torch.from_numpy(known.points).float().expand(4, -1, 3), cameras)
    colors, seen = torch.from_numpy(known.colors).float(), 0
    assert clips.depth is not None
    for frame in range(4):
        for dot, ((x, y), depth) in enumerate(zip(pixels[frame].tolist(), depths[frame].tolist(), strict=True)):
            apart = (pixels[frame] - pixels[frame, dot]).abs().amax(1)
            if not (4 < x < SIDE - 4 and 4 < y < SIDE - 4 and (apart > 9).sum() == len(apart) - 1):
                continue
            assert (clips.rgb[0, frame, int(y), int(x)].float() - colors[dot]).abs().max() < 40
            assert float(clips.depth[0, frame, int(y), int(x)]) == pytest.approx(depth, rel=0.01)
            seen += 1
    assert seen >= 8


def test_a_fixed_form_reads_the_start_and_the_first_caption(data: Path) -> None:
    clips = StoredClips([scenes(data / "two"), scenes(data / "one")], FIXED).get([0, 2])
    assert clips.captions == ("A grey wall.", "")
    expected = torch.linalg.inv(torch.from_numpy(scene_of(2, 8).world_from_camera)).float()
    torch.testing.assert_close(clips.extrinsics[1], expected[:4])
    assert clips.depth is None  # not all of them have it


def test_depth_is_there_where_all_scenes_have_it(data: Path) -> None:
    two, one = scenes(data / "two"), scenes(data / "one")
    assert StoredClips([two], FIXED).has_depth
    assert not StoredClips([two, one], FIXED).has_depth
    assert not StoredClips([two], DRAWN).has_depth
    assert StoredClips([two], DRAWN).get([0]).depth is None
    assert not MixedClips([two, one], (1.0, 1.0), FIXED).has_depth


def test_what_stands_at_a_position_is_a_function_of_it(data: Path) -> None:
    datasets, weights = [scenes(data / "two"), scenes(data / "one")], (3.0, 1.0)
    source, again = (MixedClips(datasets, weights, DRAWN, seed=5) for _ in range(2))
    together, alone = source.get(range(12)), [again.get([position]) for position in reversed(range(12))][::-1]
    assert torch.equal(together.rgb, torch.cat([clip.rgb for clip in alone]))
    assert together.captions == tuple(caption for clip in alone for caption in clip.captions)
    starts = {tuple(clip.extrinsics[0, 0].flatten().tolist()) for clip in alone}
    assert len(starts) > 4  # other scenes, other frames
    assert isinstance(source.order(0), EveryPosition)
    assert source.order(0).items(7, 3) == [7, 8, 9]
    assert not torch.equal(MixedClips(datasets, weights, DRAWN, seed=6).get(range(12)).rgb, together.rgb)


def test_captions_are_drawn_and_cleaned(data: Path) -> None:
    source = MixedClips([scenes(data / "two")], (1.0,), DRAWN)
    drawn = Counter(source.get(range(60)).captions)
    assert set(drawn) == {"A grey wall.", "It is a grey wall.", "The image shows a grey wall.", "dots"}
    assert 15 < drawn["dots"] < 45


def test_fewer_frames_can_be_asked_for(data: Path) -> None:
    clips = MixedClips([scenes(data / "two")], (1.0,), DRAWN).get([0, 1], frames=2)
    assert clips.rgb.shape[:2] == clips.extrinsics.shape[:2] == (2, 2)


def test_damaged_scenes_are_passed_over_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_dataset(tmp_path / "data", 2, depth=False)
    for picture in (folder / "clip01" / "frames").iterdir():
        picture.write_bytes(b"no picture")
    source = MixedClips([scenes(folder)], (1.0,), DRAWN)
    with caplog.at_level(logging.WARNING):
        clips = source.get(range(8))
    assert clips.rgb.shape[0] == 8
    assert any("clip01 cannot be used" in message for message in caplog.messages)
    for picture in (folder / "clip00" / "frames").iterdir():
        picture.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"5 clips drawn in a row cannot be used.*gen3r data check"):
        source.get([0])


def test_scenes_have_names(data: Path) -> None:
    assert StoredClips([scenes(data / "two"), scenes(data / "one")], FIXED).name(2) == "mvimgnet/clip02"
    assert MixedClips([scenes(data / "one")], (1.0,), DRAWN).name(99) == "mvimgnet/clip02"
