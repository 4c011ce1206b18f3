"""Clips that are rendered once, and packs that are made to fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gen3r.cameras.cameras import Cameras
from gen3r.cameras.projection import unproject
from gen3r.data.synthetic import generate_clip
from gen3r.train.recipe.clips import ClipStock, fit
from gen3r.train.sources import PackedClips, RenderedClips
from train.tiny_run import write_pack


def test_rendered_clips_are_those_of_their_seeds_and_stop_when_told() -> None:
    clips = RenderedClips(4, 5, 2, 16, 16, until=lambda done: done >= 2)
    assert len(clips) == 2
    expected, got = generate_clip(5, 2, 16, 16, samples=2), clips.get([1])
    assert torch.equal(got.rgb[0], expected.rgb)
    assert got.captions == (expected.caption,)
    torch.testing.assert_close(got.extrinsics[0], expected.cameras.extrinsics)


def test_smaller_packs_see_the_same_world(tmp_path: Path) -> None:
    pack = write_pack(tmp_path / "pack.safetensors", count=2, side=32)
    large, small = PackedClips([pack]).get([0]), fit(PackedClips([pack]), 16, 16).get([0])
    assert small.rgb.shape == (1, 5, 16, 16, 3)
    torch.testing.assert_close(small.rgb.float().mean(), large.rgb.float().mean(), atol=0.5, rtol=0)
    rays = []
    for clips in (large, small):
        side = clips.rgb.shape[2]
        cameras = Cameras(clips.extrinsics, clips.intrinsics, side, side)
        rays.append(unproject(torch.ones(1, 5, side, side), cameras))
    corners = (rays[0][:, :, ::2, ::2] + rays[0][:, :, 1::2, 1::2]) / 2
    torch.testing.assert_close(corners, rays[1])
    with pytest.raises(ValueError, match="a whole number of times"):
        fit(PackedClips([pack]), 12, 12)


def test_a_cpu_keeps_what_it_rendered(tmp_path: Path) -> None:
    told: list[str] = []

    def stock(limit: int) -> ClipStock:
        return ClipStock(
            run=tmp_path,
            data=(),
            validation=(),
            limit=limit,
            sitting=0,
            seconds=1.0,
            device=torch.device("cpu"),
            tell=told.append,
        )

    first = stock(1)._kept("train", (2, 16, 16))
    more = stock(2)._kept("train", (2, 16, 16))
    assert len(more) == 2
    assert torch.equal(more.get([0]).rgb, first.get([0]).rgb)
    assert torch.equal(more.get([1]).rgb[0], generate_clip(1, 2, 16, 16, samples=2).rgb)
    assert ["rendered 1" in line for line in told] == [True, True]
    stock(2)._kept("train", (2, 16, 16))
    assert len(told) == 2
