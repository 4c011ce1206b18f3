"""A model on disk, as worker processes load it."""

from pathlib import Path

import pytest
import torch

from pipeline.conftest import build_pipeline


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
