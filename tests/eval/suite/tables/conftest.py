"""A small pipeline and clips of the analytic room; baselines and clouds small enough for tests."""

from collections.abc import Iterator

import pytest
import torch

from eval.benchmarks.rooms import room_clip
from gen3r.eval.benchmarks.truth import Truth
from gen3r.eval.suite.tables import baselines, geometry_columns
from gen3r.pipeline import Gen3RPipeline
from pipeline.conftest import build_pipeline

SEEDS = (900_000_000, 900_000_001)


def tamed_pipeline(seed: int = 0) -> Gen3RPipeline:
    """Random weights; an untrained camera head may claim to see more than half a turn, which is no camera."""
    pipeline = build_pipeline(seed)
    with torch.no_grad():
        for parameter in pipeline.geometry.vggt.camera_head.pose_branch.parameters():
            parameter.mul_(0.1)
    return pipeline


@pytest.fixture(scope="package")
def pipeline() -> Gen3RPipeline:
    return tamed_pipeline()


@pytest.fixture(scope="package")
def other() -> Gen3RPipeline:
    """Other random weights."""
    return tamed_pipeline(1)


@pytest.fixture(scope="package")
def truths() -> list[Truth]:
    return [Truth.of(room_clip(seed)) for seed in SEEDS]


@pytest.fixture(autouse=True, scope="package")
def small() -> Iterator[None]:
    """One clip makes the mean depth map, and few points a cloud."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "MEAN_MAP_CLIPS", 1)
        patch.setattr(geometry_columns, "SAMPLED_POINTS", 200)
        baselines.mean_depth_of.cache_clear()
        yield
    baselines.mean_depth_of.cache_clear()
