import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.scene.masks import official_percentile_depth, positive_depth


def test_positive_depth_refuses_zero_negative_and_nonfinite():
    depth = torch.tensor([[1.0, 0.0, -1.0, torch.nan, torch.inf, 1e-9]])
    assert positive_depth(depth).tolist() == [[True, False, False, False, False, False]]


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 100))
def test_official_rule_matches_numpy_percentiles(seed, scale):
    depth = torch.rand(2, 9, 11, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    for frame, kept in zip(depth.numpy(), official_percentile_depth(depth).numpy(), strict=True):
        low, high = max(1e-8, np.percentile(frame, 0.1)), min(50, np.percentile(frame, 98))
        doubtful = np.isclose(frame, low, rtol=1e-9) | np.isclose(frame, high, rtol=1e-9)
        assert (((frame > low) & (frame < high)) == kept)[~doubtful].all()
