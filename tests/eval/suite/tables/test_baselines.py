from dataclasses import replace

import pytest
import torch

from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.benchmark import SuiteSettings
from gen3r.eval.suite.registry import load_benchmark
from gen3r.eval.suite.tables import baselines
from gen3r.eval.suite.tables.chunk import Chunk
from gen3r.eval.suite.tables.picture_columns import BETWEEN
from gen3r.eval.suite.tables.table import PredictionTable
from gen3r.pipeline import Gen3RPipeline


@pytest.fixture
def chunk(pipeline: Gen3RPipeline, truths: list[Truth]) -> Chunk:
    return Chunk(pipeline, truths, SuiteSettings(steps=1))


@pytest.mark.parametrize(
    "row", ["t1/copy", "t1/fade", "t1/warp1", "t1/warp2", "t2/mean", "t2/truth", "t5/still", "t7/still", "t9/average8"]
)
def test_baselines_and_bounds_know_no_model(row: str, chunk: Chunk, other: Gen3RPipeline, truths: list[Truth]) -> None:
    name, key = row.split("/")
    table = load_benchmark(f"gen3r.eval.suite.tables.{name}")
    assert isinstance(table, PredictionTable)
    second = Chunk(other, truths, SuiteSettings(steps=2, noise_seed=7))
    one, two = (table.ways[key].predict(which, 0) for which in (chunk, second))
    for part in ("video", "depth", "surface"):
        assert torch.equal(getattr(one, part), getattr(two, part))
    assert torch.equal(one.cameras.extrinsics, two.cameras.extrinsics)


def test_a_fade_begins_and_ends_with_its_views(chunk: Chunk, truths: list[Truth]) -> None:
    video = baselines.faded(chunk, 0).video
    assert torch.equal(video[[0, -1]], truths[0].video[[0, -1]])
    torch.testing.assert_close(video[2], (truths[0].video[0] + truths[0].video[-1]) / 2)


def test_warping_two_views_beats_warping_one(chunk: Chunk, truths: list[Truth]) -> None:
    one, two = baselines.warped(chunk, 0), baselines.warped_both(chunk, 0)
    score = {
        name: BETWEEN.score(prediction, truths[0])["between_psnr"] for name, prediction in (("1", one), ("2", two))
    }
    assert score["2"] > score["1"]
    torch.testing.assert_close(two.video[-1], truths[0].video[-1], atol=2e-2, rtol=0)


def test_a_baseline_differs_from_the_truth_in_one_part(chunk: Chunk, truths: list[Truth]) -> None:
    truth = baselines.truth(chunk, 1)
    copied, still, flat = baselines.copied(chunk, 1), baselines.still_camera(chunk, 1), baselines.mean_depth(chunk, 1)
    assert replace(copied, video=truth.video) == truth
    assert replace(still, cameras=truth.cameras) == truth
    assert torch.equal(flat.video, truth.video)
    assert flat.cameras is truth.cameras
    assert torch.equal(flat.depth[0], flat.depth[-1])
    assert flat.surface.all()
    nothing = baselines.standstill(chunk, 1)
    assert torch.equal(nothing.video, copied.video)
    assert torch.equal(nothing.cameras.extrinsics, still.cameras.extrinsics)
    assert torch.equal(nothing.depth, flat.depth)


def test_the_mean_depth_map_is_made_once_for_a_size() -> None:
    depth = baselines.mean_depth_of((16, 32))
    assert depth.shape == (16, 32)
    assert depth.min() > 0
    assert baselines.mean_depth_of((16, 32)) is depth
