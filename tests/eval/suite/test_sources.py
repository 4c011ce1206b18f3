from pathlib import Path

import pytest
import torch

from gen3r.conditioning.scale import estimated_scale
from gen3r.eval.suite.config import ClipChoice
from gen3r.eval.suite.sources import open_source, spread
from pipeline.conftest import build_pipeline
from prepare.clip_folders import write_dataset


def test_stored_clips_are_cut_and_measured_in_mean_depths_of_the_first_view(tmp_path: Path) -> None:
    pipeline = build_pipeline()
    with torch.no_grad():  # an untrained camera head may claim to see more than half a turn, which is no camera
        for parameter in pipeline.geometry.vggt.camera_head.pose_branch.parameters():
            parameter.mul_(0.1)
    known, bare = (tmp_path / name for name in ("known", "bare"))
    write_dataset(known, 2, frames=10)
    write_dataset(bare, 1, frames=10, depth=False)
    source = open_source(ClipChoice(datasets=(str(known),), stride=2), pipeline.grid())
    assert [clip.name for clip in source.listed()] == ["source0/clip0", "source1/clip1"]
    first, second = (source.truth(clip.name, pipeline) for clip in source.listed())
    assert (first.frames, first.size) == (5, (112, 112))
    assert (first.unit, second.unit) == (2.0, 3.0)
    assert first.depth.unique().tolist() == [1.0]
    assert first.valid.all()
    assert first.metric
    assert second.cameras.centers[-1].norm().item() == pytest.approx(1.5 * 8 / 9 / 3.0)  # frame 8 of 9
    assert first.seed != second.seed
    assert first.seed == source.truth("source0/clip0", pipeline).seed

    longer = open_source(ClipChoice(datasets=(str(known),), stride=3), pipeline.grid()).listed()
    assert [clip.unusable for clip in longer] == ["fewer than 15 frames"] * 2

    blind = open_source(ClipChoice(datasets=(str(bare),), stride=2), pipeline.grid()).truth("source0/clip0", pipeline)
    torch.testing.assert_close(blind.video, first.video)
    assert not blind.has_depth
    assert not blind.valid.any()
    metres = first.cameras.scaled(first.unit)
    expected = estimated_scale(first.video[None], metres[None], pipeline.read_geometry)
    assert blind.unit == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(blind.cameras.scaled(blind.unit).extrinsics, metres.extrinsics)


def test_clips_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    data = str(write_dataset(tmp_path / "data", 1, frames=5))
    with pytest.raises(ValueError, match="source0/clip0 more than once"):
        open_source(ClipChoice(datasets=(data, data)), build_pipeline().grid())
    with pytest.raises(ValueError, match="number of clips"):
        ClipChoice()
    with pytest.raises(ValueError, match="stride to be at least 1, got 0"):
        ClipChoice(count=1, stride=0)


def test_few_of_many_are_spread_evenly() -> None:
    assert spread(3, None) == spread(3, 5) == [0, 1, 2]
    assert spread(10, 4) == [0, 2, 5, 7]
