"""The control video: given views at their frames, black elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def official_view_frames(views: int, frames: int) -> list[int]:
    """Where views go when nobody says: the first frame, the two ends, or (all) every frame.

    Raises:
        ValueError: for any other number of views; say where they belong.
    """
    placements = {0: [], 1: [0], 2: [0, frames - 1], frames: list(range(frames))}
    if views not in placements or views > frames:
        raise ValueError(
            f"{views} views have no default place among {frames} frames; give one frame index per view "
            f"(0..{frames - 1}), or 1, 2 or {frames} views."
        )
    return placements[views]


def place_views(
    views: Float[Tensor, "V 3 H W"], at: Sequence[int], frames: int
) -> tuple[Float[Tensor, "F 3 H W"], Bool[Tensor, " F"]]:
    """Video in [0, 1] with ``views`` at frame indices ``at`` (any order) and zeros elsewhere, and where they are.

    Raises:
        ValueError: if the indices are not as many as the views, repeated, or outside 0..frames-1.
    """
    if len(at) != len(views):
        raise ValueError(f"need one frame index per view, got {len(at)} for {len(views)} views.")
    if len(set(at)) != len(at) or any(not 0 <= index < frames for index in at):
        raise ValueError(f"frame indices must be distinct and within 0..{frames - 1}, got {list(at)}.")
    video = views.new_zeros(frames, *views.shape[1:])
    given = torch.zeros(frames, dtype=torch.bool, device=views.device)
    if len(at):
        index = torch.tensor(list(at), device=views.device)
        video[index] = views
        given[index] = True
    return video, given


def control_video(video: Float[Tensor, "B F 3 H W"], given: Bool[Tensor, "B F"]) -> Float[Tensor, "B F 3 H W"]:
    """Keep the given frames, zeros (black) elsewhere; every sample may keep others."""
    return torch.where(given[:, :, None, None, None], video, torch.zeros_like(video))


@dataclass(frozen=True, kw_only=True)
class ViewSampler:
    """Which frames a training clip is shown. Weights need not sum to one; the defaults are the official thirds."""

    first: float = 1.0
    """Weight of the first frame alone."""
    ends: float = 1.0
    """Weight of the first and the last frame."""
    everything: float = 1.0
    """Weight of all frames."""
    anything: float = 0.0
    """Weight of a random non-empty subset: its size is uniform, then its members are."""
    nothing: float = 0.0
    """Weight of no frame at all (text only)."""

    def __post_init__(self) -> None:
        weights = self._weights()
        if min(weights) < 0 or sum(weights) <= 0:
            raise ValueError(f"view weights must be non-negative with a positive sum, got {weights}.")

    def sample(self, batch: int, frames: int, generator: torch.Generator | None = None) -> Bool[Tensor, "B F"]:
        """Given frames for each of ``batch`` clips, drawn independently (on the CPU)."""
        kinds = torch.multinomial(torch.tensor(self._weights()), batch, replacement=True, generator=generator)
        sizes = torch.randint(1, frames + 1, (batch,), generator=generator)
        ranks = torch.rand(batch, frames, generator=generator).argsort(dim=1).argsort(dim=1)
        index = torch.arange(frames)
        patterns = torch.stack(
            [
                (index == 0).expand(batch, -1),
                ((index == 0) | (index == frames - 1)).expand(batch, -1),
                torch.ones(batch, frames, dtype=torch.bool),
                ranks < sizes[:, None],
                torch.zeros(batch, frames, dtype=torch.bool),
            ]
        )
        return patterns[kinds, torch.arange(batch)]

    def mixed(self, other: ViewSampler, share: float) -> ViewSampler:
        """A sampler that draws from ``other`` in this ``share`` (0..1) of the cases, and from this one else."""
        own, others = self._weights(), other._weights()
        weights = [
            (1 - share) * mine / sum(own) + share * theirs / sum(others)
            for mine, theirs in zip(own, others, strict=True)
        ]
        return ViewSampler(**dict(zip(_KINDS, weights, strict=True)))

    def _weights(self) -> list[float]:
        return [getattr(self, kind) for kind in _KINDS]


_KINDS = ("first", "ends", "everything", "anything", "nothing")


@dataclass(frozen=True, kw_only=True)
class ViewCurriculum:
    """Many given views at first, fewer and fewer until the usual mixture is reached: filling in comes before inventing.

    Raises:
        ValueError: on construction, for a share outside 0..1 or 0 itself.
    """

    start: ViewSampler = ViewSampler(first=0.0, ends=0.5, everything=0.5)
    """The mixture of the first step."""
    share: float = 0.5
    """Share of the steps after which the usual mixture is reached; on the way the two are mixed linearly."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"expected a share of the steps above 0 and up to 1, got {self.share}.")

    def at(self, progress: float, usual: ViewSampler) -> ViewSampler:
        """The mixture when this share (0..1) of the steps is done."""
        return self.start.mixed(usual, min(1.0, max(0.0, progress) / self.share))
