import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from gen3r.data.synthetic import generate_clips
from gen3r.data.synthetic.bulk import BulkConfig, generate_pack


def test_a_pack_holds_its_clips(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    config = BulkConfig(
        out=tmp_path / "new" / "pack.safetensors", start_seed=4, count=2, frames=2, height=16, width=24, samples=1,
    )  # fmt: skip
    path = generate_pack(config, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    assert [item.name for item in path.parent.iterdir()] == ["pack.safetensors"]
    clips = list(generate_clips([4, 5], 2, 16, 24, samples=1))
    with safe_open(str(path), "pt") as pack:
        assert pack.get_tensor("seeds").tolist() == [4, 5]
        assert json.loads(pack.metadata()["captions"]) == [clip.caption for clip in clips]
        assert torch.equal(pack.get_tensor("rgb"), torch.stack([clip.rgb for clip in clips]))
        assert torch.equal(pack.get_tensor("extrinsics"), torch.stack([clip.cameras.extrinsics for clip in clips]))
        assert torch.equal(pack.get_tensor("intrinsics"), torch.stack([clip.cameras.intrinsics for clip in clips]))
        depth = torch.stack([clip.depth for clip in clips])
        torch.testing.assert_close(pack.get_tensor("depth").float(), depth, rtol=1e-3, atol=0)
    before = path.stat().st_mtime_ns
    with pytest.raises(ValueError, match="expected a new file"):
        generate_pack(config)
    assert path.stat().st_mtime_ns == before


def test_a_pack_of_two_splits_is_refused(tmp_path: Path) -> None:
    config = BulkConfig(out=tmp_path / "pack.safetensors", start_seed=899_999_999, count=2, frames=2, height=8, width=8)
    with pytest.raises(ValueError, match="cross a split"):
        generate_pack(config)
    assert not list(tmp_path.iterdir())
