from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli.running import Runner
from pipeline.conftest import build_pipeline

SIDE = 112
FRAMES = 5


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the real classes at the smallest size, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "random"
    pipeline = build_pipeline()
    with torch.no_grad():  # an untrained camera head may claim to see more than half a turn, which is no camera
        for parameter in pipeline.geometry.vggt.camera_head.pose_branch.parameters():
            parameter.mul_(0.1)
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def gen3r(capsys: pytest.CaptureFixture[str]) -> Runner:
    return Runner(capsys)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_photo(tmp_path / "photo.png", seed=0)


def write_photo(path: Path, seed: int, height: int = 120, width: int = 150) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (height // 10, width // 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(path)
    return path
