"""Any size and length on the grid, on the stand-in of the official model, whose own is 49 x 560 x 560."""

from pathlib import Path

import pytest
import torch

from gen3r.pipeline import Gen3RPipeline
from hub.standin import build_standin


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Gen3RPipeline:
    folder: Path = build_standin(tmp_path_factory.mktemp("official") / "model")
    return Gen3RPipeline.from_pretrained(folder)


@pytest.mark.parametrize(("frames", "size"), [(1, (112, 112)), (5, (112, 224)), (9, (224, 112))])
def test_any_grid_gives_a_scene(official: Gen3RPipeline, frames: int, size: tuple[int, int]) -> None:
    view = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    scene = official(view, "a room", frames=frames, size=size, steps=1, guidance=1.0, generator=0)
    assert (scene.frames, scene.height, scene.width) == (frames, *size)
    assert torch.isfinite(scene.depth).all()
    assert bool(scene.mask.any())
