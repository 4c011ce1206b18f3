from pathlib import Path

import pytest
import torch

from gen3r.eval.benchmarks.clips import MEAN_MAP_FRAMES, benchmark_clips, training_depths
from gen3r.eval.benchmarks.seeds import benchmark_seeds
from gen3r.latents.grid import LatentGrid

GRID = LatentGrid(1, 112, 112)
SEEDS = benchmark_seeds(900_000_000, 2)
CPU = torch.device("cpu")


def test_clips_come_from_their_seeds_and_back_from_the_pack(tmp_path: Path) -> None:
    pack = tmp_path / "clips.safetensors"
    seen: list[tuple[int, int]] = []
    rendered = benchmark_clips(SEEDS, GRID, CPU, pack=pack, advance=lambda done, total: seen.append((done, total)))
    assert [clip.seed for clip in rendered] == list(SEEDS)
    assert seen == [(1, 2), (2, 2)]
    assert [path.name for path in tmp_path.iterdir()] == [pack.name]
    (kept,) = benchmark_clips(SEEDS[1:], GRID, CPU, pack=pack)
    assert torch.equal(kept.rgb, rendered[1].rgb)
    assert torch.equal(kept.depth, rendered[1].depth)
    assert torch.equal(kept.cameras.extrinsics, rendered[1].cameras.extrinsics)
    assert torch.equal(kept.cameras.intrinsics, rendered[1].cameras.intrinsics)
    assert (kept.caption, kept.seed) == (rendered[1].caption, rendered[1].seed)
    with pytest.raises(ValueError, match=r"lacks 1 of the 3 clips, the first of seed 900000002"):
        benchmark_clips(benchmark_seeds(900_000_000, 3), GRID, CPU, pack=pack)
    with pytest.raises(ValueError, match="name another file"):
        benchmark_clips(SEEDS, LatentGrid(5, 112, 112), CPU, pack=pack)


def test_a_damaged_pack_is_refused(tmp_path: Path) -> None:
    pack = tmp_path / "clips.safetensors"
    pack.write_bytes(b"not a pack of clips")
    with pytest.raises(ValueError, match="damaged"):
        benchmark_clips(SEEDS, GRID, CPU, pack=pack)


def test_the_mean_map_is_made_of_training_clips() -> None:
    depths = list(training_depths(1, GRID, CPU))
    assert [depth.shape for depth in depths] == [(MEAN_MAP_FRAMES, 112, 112)]
    assert all((depth > 0).any() for depth in depths)
