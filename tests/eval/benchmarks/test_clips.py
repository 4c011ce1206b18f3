from pathlib import Path

import pytest
import torch

from gen3r.eval.benchmarks.clips import MEAN_MAP_FRAMES, benchmark_clips, training_depths
from gen3r.eval.benchmarks.seeds import benchmark_seeds
from gen3r.latents.grid import LatentGrid

GRID = LatentGrid(1, 112, 112)
SEEDS = benchmark_seeds(900_000_000, 2)
CPU = torch.device("cpu")


def test_clips_come_from_their_seeds_and_back_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "clips.safetensors"
    seen: list[tuple[int, int]] = []
    rendered = benchmark_clips(SEEDS, GRID, CPU, file=file, advance=lambda done, total: seen.append((done, total)))
    assert [clip.seed for clip in rendered] == list(SEEDS)
    assert seen == [(1, 2), (2, 2)]
    kept = benchmark_clips(SEEDS, GRID, CPU, file=file)
    for one, other in zip(rendered, kept, strict=True):
        assert torch.equal(one.rgb, other.rgb)
        assert torch.equal(one.depth, other.depth)
        assert torch.equal(one.cameras.extrinsics, other.cameras.extrinsics)
        assert torch.equal(one.cameras.intrinsics, other.cameras.intrinsics)
        assert (one.caption, one.seed) == (other.caption, other.seed)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    with pytest.raises(ValueError, match=r"holds 2 clips .* not the 3 clips"):
        benchmark_clips(benchmark_seeds(900_000_000, 3), GRID, CPU, file=file)
    with pytest.raises(ValueError, match="name another file"):
        benchmark_clips(SEEDS, LatentGrid(5, 112, 112), CPU, file=file)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "clips.safetensors"
    file.write_bytes(b"not a file of clips")
    with pytest.raises(ValueError, match="damaged"):
        benchmark_clips(SEEDS, GRID, CPU, file=file)


def test_the_mean_map_is_made_of_training_clips() -> None:
    depths = list(training_depths(1, GRID, CPU))
    assert [depth.shape for depth in depths] == [(MEAN_MAP_FRAMES, 112, 112)]
    assert all((depth > 0).any() for depth in depths)
