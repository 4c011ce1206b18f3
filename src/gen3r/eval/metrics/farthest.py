"""An even sample of a point cloud: farthest points."""

from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.spatial import KDTree
from torch import Tensor

THINNING = 8
"""Clouds of more points than this many times the sample are thinned at random first."""
THINNING_SEED = 0
"""Of the random thinning: the same cloud always gives the same sample."""
BATCH = 512
"""Candidates among which farthest points are picked before the rest of the cloud hears of it."""


def farthest_points(points: Float[Tensor, "N 3"], count: int) -> Int64[Tensor, " M"]:
    """Indices of ``count`` points, each in turn the one farthest from those before it (Gonzalez 1985).

    The first is the point farthest from the mean. A cloud of more than ``THINNING`` times ``count`` points is first
    thinned at random to that many, by a fixed seed; of what remains the sample is exact. Runs on the CPU, in a time
    that hardly grows with the cloud. All points of a smaller cloud are taken; fewer than ``count`` where the cloud has
    fewer distinct points.

    Raises:
        ValueError: for a count below 1 or points that are not finite.
    """
    if count < 1:
        raise ValueError(f"a sample needs at least one point, got {count}.")
    if not torch.isfinite(points).all():
        raise ValueError("the points to sample must be finite; mask the others.")
    if len(points) <= count:
        return torch.arange(len(points), device=points.device)
    kept = torch.arange(len(points))
    if len(points) > THINNING * count:
        generator = torch.Generator().manual_seed(THINNING_SEED)
        kept = torch.randperm(len(points), generator=generator)[: THINNING * count]
    cloud = points.detach()[kept.to(points.device)].cpu().double().numpy()
    return kept[torch.from_numpy(_exact(cloud, count))].to(points.device)


def _exact(cloud: np.ndarray, count: int) -> np.ndarray:
    """Farthest-point order of a cloud, batch by batch.

    Picking a point only ever lowers the distances of others. So among the candidates with the largest distances the
    next points can be picked without asking the rest, as long as the best candidate is no nearer than the best of the
    rest; then the rest is updated around all picks at once, each reaching as far as its own distance.
    """
    tree = KDTree(cloud)
    first = int(_squared(cloud - cloud.mean(axis=0)).argmax())
    nearest = _squared(cloud - cloud[first])
    chosen = [first]
    while len(chosen) < count and nearest.max() > 0:
        size = min(max(BATCH // 8, 2 * len(chosen)), BATCH, len(cloud) - 1)
        order = np.argpartition(nearest, len(cloud) - size - 1)[len(cloud) - size - 1 :]
        rest, candidates = float(nearest[order[0]]), order[1:]
        picks, reach = _greedy(cloud[candidates], nearest[candidates], rest, count - len(chosen))
        picked = candidates[picks]
        chosen.extend(picked.tolist())
        touched = tree.query_ball_point(cloud[picked], np.sqrt(reach), return_sorted=False)
        sizes = np.fromiter(map(len, touched), dtype=np.int64, count=len(picked))
        near = np.fromiter(chain.from_iterable(touched), dtype=np.int64, count=int(sizes.sum()))
        np.minimum.at(nearest, near, _squared(cloud[near] - cloud[np.repeat(picked, sizes)]))
        nearest[picked] = 0.0
    return np.array(chosen, dtype=np.int64)


def _greedy(points: np.ndarray, nearest: np.ndarray, rest: float, count: int) -> tuple[list[int], list[float]]:
    """Farthest points among candidates until one of the rest may be farther: (which, their squared distances)."""
    x, y, z = np.ascontiguousarray(points.T)
    picks: list[int] = []
    reach: list[float] = []
    while len(picks) < count:
        best = int(nearest.argmax())
        if nearest[best] < rest or nearest[best] <= 0:
            break
        picks.append(best)
        reach.append(float(nearest[best]))
        nearest = np.minimum(nearest, (x - x[best]) ** 2 + (y - y[best]) ** 2 + (z - z[best]) ** 2)
    return picks, reach


def _squared(vectors: np.ndarray) -> np.ndarray:
    return np.square(vectors).sum(axis=1)
