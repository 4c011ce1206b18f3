"""Memory profiles on a GPU: the scenes of a pipeline that is all there."""

from pathlib import Path

import pytest
import torch

from gen3r.pipeline import Gen3RPipeline
from gen3r.pipeline.memory import PROFILES, profile_for
from gen3r.scene.scene import Scene

from .conftest import build_pipeline

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CALL = {"prompt": "a red ball", "cameras": "orbit", "guidance": 3.0, "generator": 1}


def scene_of(photo: torch.Tensor, size: int | None) -> Scene:
    plain = build_pipeline()
    memory = None if size is None else PROFILES[size]
    pipeline = Gen3RPipeline(plain.networks, plain.config, memory=memory, device="cuda")
    assert pipeline.device.type == "cuda"
    first = pipeline([photo], **CALL)
    again = pipeline([photo], **CALL)  # networks that went home come back
    torch.testing.assert_close(again.depth, first.depth, rtol=1e-3, atol=1e-4)
    return first


@pytest.fixture(scope="module")
def expected() -> Scene:
    photo = torch.rand(3, 112, 112, generator=torch.Generator().manual_seed(7))
    return scene_of(photo, None)


@pytest.mark.parametrize("size", PROFILES)
def test_profiles_give_the_same_scene(photo: torch.Tensor, expected: Scene, size: int) -> None:
    scene = scene_of(photo, size)
    torch.testing.assert_close(scene.depth, expected.depth, rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(scene.points, expected.points, rtol=1e-2, atol=1e-2)
    assert (scene.rgb.float() - expected.rgb.float()).abs().mean() < 1


def test_visiting_networks_go_home(photo: torch.Tensor) -> None:
    plain = build_pipeline()
    pipeline = Gen3RPipeline(plain.networks, plain.config, memory=PROFILES[8], device="cuda")
    pipeline([photo], **CALL)
    for network in (pipeline.geometry, pipeline.appearance.vae):
        assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}


def test_loading_takes_the_profile_of_the_device(photo: torch.Tensor, tmp_path: Path) -> None:
    build_pipeline().save_pretrained(tmp_path / "model")
    pipeline = Gen3RPipeline.from_pretrained(tmp_path / "model", device="cuda")
    assert pipeline.memory is profile_for("cuda")
    assert pipeline.transformer.dtype == torch.bfloat16
    assert torch.isfinite(pipeline([photo], **CALL).depth).all()
