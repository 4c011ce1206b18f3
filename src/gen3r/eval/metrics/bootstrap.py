"""A mean and how far to trust it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Mean over clips with a 95 % interval."""

    mean: float
    """Mean over the clips, failures included at their worst value."""
    low: float
    """2.5th percentile of the mean under resampling."""
    high: float
    """97.5th percentile of the mean under resampling."""
    n: int
    """Number of clips."""


def bootstrap_mean(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Percentile bootstrap of the mean over clips (Efron 1979): resampled with replacement, 2.5 and 97.5 % quantiles.

    The same values and seed give the same interval. ValueError for no values or values that are not finite: a failed
    clip has to arrive with its metric's worst value.
    """
    data = torch.tensor(list(values), dtype=torch.float64)
    if not len(data) or not torch.isfinite(data).all():
        raise ValueError(f"a bootstrap needs at least one value and only finite ones, got {list(values)[:8]}.")
    picks = torch.randint(len(data), (resamples, len(data)), generator=torch.Generator().manual_seed(seed))
    low, high = data[picks].mean(dim=1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    mean = data.mean().item()
    return Interval(mean=mean, low=min(low, mean), high=max(high, mean), n=len(data))
