"""The official behaviour, choice by choice, beside the default."""

import math
from dataclasses import replace

import pytest
import torch

from gen3r.cameras import Cameras
from gen3r.conditioning.condition import ConditioningConfig
from gen3r.conditioning.image import IMAGE_PIXELS
from gen3r.hub.load import save_networks
from gen3r.pipeline import Gen3RPipeline, PipelineConfig
from gen3r.pipeline.cameras import camera_path
from gen3r.pipeline.numerics import NUMERICS, Numerics, numerics_of
from gen3r.pipeline.request import SceneRequest, place_request
from gen3r.scene.export.source import ExportSource
from gen3r.scene.point_cloud import OFFICIAL_CLOUD, point_cloud
from pipeline.conftest import FRAMES, SIDE, build_pipeline


@pytest.fixture(scope="module")
def official() -> Gen3RPipeline:
    """The pipeline of the other tests with the official choices, the same weights and images read."""
    plain = build_pipeline(image_dim=16)
    return Gen3RPipeline(plain.networks, plain.config, numerics="official")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="default or official"):
        numerics_of("exact")


def test_the_default_changes_no_setting_of_the_model() -> None:
    for settings in (ConditioningConfig(), ConditioningConfig(sample_control=True, image_pixels="official")):
        assert NUMERICS["default"].conditioning(settings) == settings


def test_official_choices_reach_the_networks(official: Gen3RPipeline) -> None:
    assert official.conditioner.config.sample_control
    assert official.conditioner.config.control_geometry == "zeros"
    assert official.image is not None
    assert official.image.pixels is IMAGE_PIXELS["official"]


def test_control_latents_are_samples(official: Gen3RPipeline, photo: torch.Tensor) -> None:
    default = Gen3RPipeline(official.networks, official.config)
    requests = [SceneRequest(views=photo[None])]
    grid = official.grid()
    placed = [place_request(requests[0], grid)]
    paths = [camera_path(requests[0], placed[0], grid, official.geometry.vggt, official.config)]

    def control(pipeline: Gen3RPipeline, seed: int) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(seed)]
        with torch.no_grad():
            return pipeline.encode_conditions(requests, placed, paths, grid, generators).control

    assert torch.equal(control(official, 1), control(official, 1))
    assert not torch.equal(control(official, 1), control(official, 2))
    assert torch.equal(control(default, 1), control(default, 2))
    appearance = official.appearance.encode(placed[0].video[None])
    noise = torch.randn(appearance.mean.shape, generator=torch.Generator().manual_seed(1))
    half = appearance.mean.shape[-1]
    torch.testing.assert_close(
        control(official, 1)[:, :16, ..., :half], appearance.mean + (0.5 * appearance.logvar).exp() * noise
    )


@pytest.mark.parametrize(("numerics", "rounded"), [("default", False), ("official", True)])
def test_latents_are_rounded_to_the_networks_only_officially(numerics: str, rounded: bool) -> None:
    plain = build_pipeline()
    pipeline = Gen3RPipeline(plain.networks, plain.config, numerics=numerics).to("cpu", torch.bfloat16)
    grid = pipeline.grid()
    request = SceneRequest()
    placed = place_request(request, grid)
    with torch.no_grad():
        path = camera_path(request, placed, grid, pipeline.geometry.vggt, pipeline.config)
        condition = pipeline.encode_conditions([request], [placed], [path], grid, [torch.Generator().manual_seed(0)])
        noise = torch.randn(1, *grid.joint_shape, generator=torch.Generator().manual_seed(0))
        latents = pipeline.denoise(noise, condition, steps=2, guidance=1.0)
    assert latents.dtype == torch.float32
    assert torch.equal(latents, latents.bfloat16().float()) == rounded


def test_rounding_to_float32_networks_changes_nothing(photo: torch.Tensor) -> None:
    plain = build_pipeline()
    rounding = Gen3RPipeline(plain.networks, plain.config, numerics=Numerics(round_to_networks=True))
    first, second = (pipeline(photo[None], generator=3) for pipeline in (plain, rounding))
    assert torch.equal(first.rgb, second.rgb)
    assert torch.equal(first.depth, second.depth)


@pytest.mark.parametrize("numerics", NUMERICS)
def test_intrinsics_of_user_cameras(numerics: str, pipeline: Gen3RPipeline, photo: torch.Tensor) -> None:
    wide = Cameras.from_fov(torch.eye(4).expand(FRAMES, 4, 4), 1.0, SIDE, 2 * SIDE)
    request = SceneRequest(views=photo[None], cameras=wide, camera_scale=1.0)
    grid = pipeline.grid()
    crop = NUMERICS[numerics].crop_intrinsics
    path = camera_path(
        request, place_request(request, grid), grid, pipeline.geometry.vggt, pipeline.config, crop_intrinsics=crop
    )
    assert path.cameras is not None
    assert (path.cameras.height, path.cameras.width) == grid.size
    expected = wide.cover_crop(*grid.size).intrinsics if numerics == "default" else wide.intrinsics
    torch.testing.assert_close(path.cameras.intrinsics, expected)
    assert float(path.cameras.intrinsics[0, 0, 2]) == (SIDE if numerics == "official" else SIDE / 2)


@pytest.mark.parametrize("numerics", NUMERICS)
def test_sky_sizes_a_named_path_only_officially(numerics: str, pipeline: Gen3RPipeline, photo: torch.Tensor) -> None:
    request = SceneRequest(views=photo[None], cameras="zoom_in")
    grid = pipeline.grid()
    placed = place_request(request, grid)
    seen = pipeline.read_geometry(placed.pictures[None]).depth
    plain = replace(pipeline.config, conditioning=ConditioningConfig(normalize_scale=False), max_travel=None)
    config = replace(plain, far=float(seen.median()))  # half of what is seen is sky
    settings = NUMERICS[numerics].path_settings(config)
    path = camera_path(request, placed, grid, pipeline.read_geometry, settings)
    everything = camera_path(request, placed, grid, pipeline.read_geometry, replace(plain, far=math.inf))
    assert path.cameras is not None
    assert everything.cameras is not None
    travels = [float(one.cameras.centers[-1].norm()) for one in (path, everything)]
    assert travels[0] == travels[1] if numerics == "official" else travels[0] < travels[1]


def test_a_scene_says_how_it_was_made_and_its_cloud_follows(official: Gen3RPipeline, photo: torch.Tensor) -> None:
    scene = official(photo[None], generator=0)
    assert scene.provenance["settings"]["numerics"] == "official"
    assert torch.equal(ExportSource(scene).cloud.points, point_cloud(scene, OFFICIAL_CLOUD).points)
    plain = Gen3RPipeline(official.networks, official.config)(photo[None], generator=0)
    assert torch.equal(ExportSource(plain).cloud.points, point_cloud(plain).points)


def test_the_first_camera_is_the_world_only_by_default(official: Gen3RPipeline, photo: torch.Tensor) -> None:
    scene = official(photo[None], generator=0)
    with_official_pixels = Numerics(sample_control=True, image_pixels="official", crop_intrinsics=False)
    plain = Gen3RPipeline(official.networks, official.config, numerics=with_official_pixels)(photo[None], generator=0)
    assert plain.provenance["settings"]["numerics"] == "mixed"
    assert not torch.equal(scene.cameras.extrinsics[0], torch.eye(4))
    assert torch.equal(plain.cameras.extrinsics[0], torch.eye(4))
    torch.testing.assert_close(scene.cameras.rebased().extrinsics, plain.cameras.extrinsics)


def test_saving_keeps_the_settings_of_the_weights(official: Gen3RPipeline, tmp_path) -> None:
    official.save_pretrained(tmp_path / "model")
    again = Gen3RPipeline.from_pretrained(tmp_path / "model")
    assert isinstance(again.config, PipelineConfig)
    assert again.config == official.config
    assert not again.conditioner.config.sample_control
    save_networks(again.networks, again.config, tmp_path / "model")
