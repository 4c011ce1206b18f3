"""What counts as sky."""

from dataclasses import replace

import torch

from gen3r.conditioning.condition import ConditioningConfig
from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.cameras import camera_path
from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.request import SceneRequest, place_request
from gen3r.pipeline.surfaces import surfaces

CONFIG = PipelineConfig(name="a", far=10.0, sky_confidence=1.5)


def test_a_surface_has_a_depth_nearer_than_far_and_some_confidence() -> None:
    depth = torch.tensor([[1.0, 9.9, 10.0, 0.0, -1.0, torch.inf, torch.nan, 1.0]])
    confidence = torch.tensor([[1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.4]])
    assert surfaces(depth, confidence, CONFIG).tolist() == [[True, True, *[False] * 6]]
    assert surfaces(depth, confidence, replace(CONFIG, sky_confidence=0.0)).tolist() == [
        [True, True, *[False] * 5, True]
    ]


def test_only_a_frame_without_any_confidence_keeps_what_is_near() -> None:
    depth = torch.tensor([[[1.0, 20.0]], [[1.0, 2.0]]])
    confidence = torch.tensor([[[1.0, 1.0]], [[1.0, 3.0]]])
    assert surfaces(depth, confidence, CONFIG).tolist() == [[[True, False]], [[False, True]]]


def test_scenes_leave_the_sky_out(pipeline: Gen3RPipeline, photo: torch.Tensor) -> None:
    scene = pipeline.reconstruct(photo[None])
    limit = float(scene.confidence.median())
    doubtful = Gen3RPipeline(pipeline.networks, replace(pipeline.config, sky_confidence=limit))
    assert torch.equal(doubtful.reconstruct(photo[None]).mask, scene.mask & (scene.confidence >= limit))


def test_the_sky_does_not_size_a_named_path(pipeline: Gen3RPipeline, photo: torch.Tensor) -> None:
    request, grid = SceneRequest(views=photo[None], cameras="zoom_in"), pipeline.grid()
    placed = place_request(request, grid)
    seen = pipeline.read_geometry(placed.pictures[None])
    doubted = float(seen.depth_confidence[seen.depth < seen.depth.median()].max()) + 1e-4
    plain = replace(pipeline.config, conditioning=ConditioningConfig(normalize_scale=False), max_travel=None)
    travels = []
    for config in (plain, replace(plain, sky_confidence=doubted)):
        path = camera_path(request, placed, grid, pipeline.read_geometry, config)
        assert path.cameras is not None
        travels.append(float(path.cameras.centers[-1].norm()))
    assert travels[0] != travels[1]
