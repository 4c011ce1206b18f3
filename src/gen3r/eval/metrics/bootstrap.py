"""A mean and how far to trust it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor


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
    data = _data(values)
    return _interval(data[_picks(len(data), resamples, seed)].mean(dim=1), data.mean().item(), len(data))


def bootstrap_difference(
    values: Sequence[float], others: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Paired bootstrap of ``mean(values) - mean(others)`` of two models over the SAME clips, in the same order.

    Clips are resampled in pairs, so what makes a clip hard for both cancels. An interval without 0 is a difference
    that more clips of the same kind would hardly undo.

    Raises:
        ValueError: for no values, values that are not finite, or different numbers of clips.
    """
    first, second = _pairs(values, others)
    return bootstrap_mean((first - second).tolist(), resamples=resamples, seed=seed)


def bootstrap_change(
    values: Sequence[float], others: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Paired bootstrap of the relative change ``mean(values) / mean(others) - 1`` over the same clips.

    -0.15 is 15 % less. A ratio of means, not a mean of ratios: no clip counts more because its own value is small.

    Raises:
        ValueError: for no values, values that are not finite, different numbers of clips, or ``others`` below 0 or 0
            on average in some resample: a share of nothing is no number.
    """
    first, second = _pairs(values, others)
    picks = _picks(len(first), resamples, seed)
    whole = second[picks].mean(dim=1)
    if (second < 0).any() or (whole <= 0).any():
        raise ValueError(
            f"a relative change needs a reference above 0, got values from {second.min().item():g} to "
            f"{second.max().item():g}; use bootstrap_difference."
        )
    change = (first.mean() / second.mean()).item() - 1
    return _interval(first[picks].mean(dim=1) / whole - 1, change, len(first))


def _data(values: Sequence[float]) -> Float64[Tensor, " N"]:
    data = torch.tensor(list(values), dtype=torch.float64)
    if not len(data) or not torch.isfinite(data).all():
        raise ValueError(f"a bootstrap needs at least one value and only finite ones, got {list(values)[:8]}.")
    return data


def _pairs(values: Sequence[float], others: Sequence[float]) -> tuple[Float64[Tensor, " N"], Float64[Tensor, " N"]]:
    if len(values) != len(others):
        raise ValueError(
            f"a paired bootstrap compares two models on the same clips, got {len(values)} and {len(others)} values; "
            "give both in the order of the clips."
        )
    return _data(values), _data(others)


def _picks(clips: int, resamples: int, seed: int) -> Int64[Tensor, "R N"]:
    return torch.randint(clips, (resamples, clips), generator=torch.Generator().manual_seed(seed))


def _interval(resampled: Float64[Tensor, " R"], value: float, clips: int) -> Interval:
    low, high = resampled.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Interval(mean=value, low=min(low, value), high=max(high, value), n=clips)
