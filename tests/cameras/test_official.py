"""Official choices that differ from ours stay within reach of ours."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameras.strategies import cameras, seeds
from gen3r.cameras import Cameras
from gen3r.cameras.official import cover_crop_intrinsics, depth_mask, min_max_depth_mask


@given(cameras(), st.integers(1, 40), st.integers(1, 40))
def test_official_crop_is_within_a_pixel_of_ours(of: Cameras, height: int, width: int) -> None:
    official = cover_crop_intrinsics(of.intrinsics, (of.height, of.width), (height, width))
    ours = of.cover_crop(height, width).intrinsics
    assert float((official - ours)[:, :2, 2].abs().max()) <= 1.5
    exact = cover_crop_intrinsics(of.intrinsics, (of.height, of.width), (of.height, of.width))
    assert torch.equal(exact, of.intrinsics)


@given(seeds)
def test_min_max_mask_agrees_with_numpy_percentiles(seed: int) -> None:
    depth = torch.randn(3, 9, 11, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 20 + 20
    mask = min_max_depth_mask(depth)
    for frame, kept in zip(depth.numpy(), mask.numpy(), strict=True):
        low, high = max(1e-8, np.percentile(frame, 0.1)), min(50.0, np.percentile(frame, 98))
        assert np.array_equal(kept, (frame > low) & (frame < high))
    assert not bool((mask & ~depth_mask(depth)).any())
