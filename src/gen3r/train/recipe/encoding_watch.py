"""How long the clips of a leg are encoded: not beyond the sitting, and not so long that nothing is left to train."""

from __future__ import annotations

from collections.abc import Callable

from gen3r.train.pace import ClockPace

ENCODING = 0.5
"""Of a leg's time, and of what is left of a sitting, what encoding its clips may take: else fewer are taken."""
FEWEST_ENCODED = 8
"""Clips that are encoded at least."""
TOLD_EVERY = 20
"""Batches of encoded clips between two lines about them."""


class OutOfTimeError(Exception):
    """A sitting is over while clips are being encoded."""


class TooManyClipsError(Exception):
    """Encoding all clips would take too long."""

    def __init__(self, share: float) -> None:
        """``share``: of the clips, which would not."""
        super().__init__(share)
        self.share = share


class EncodingWatch:
    """Called with (clips encoded, clips in all) after every batch of them."""

    def __init__(self, leg: str, pace: ClockPace, tell: Callable[[str], None], *, fewer: bool) -> None:
        """``fewer``: whether the leg could do with fewer clips."""
        self.leg, self.pace, self.tell, self.fewer = leg, pace, tell, fewer
        self.batches: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int) -> None:
        """Tell of it now and then.

        Raises:
            OutOfTimeError: if what is left of the sitting is needed to save.
            TooManyClipsError: once, if so many clips take too long and there could be fewer.
        """
        self.batches.append((self.pace.clock(), done))
        if len(self.batches) % TOLD_EVERY == 1 or done == total:
            self.tell(f"{self.leg}: encoded {done}/{total} clips")
        if self._left() < self.pace.margin:
            raise OutOfTimeError
        if self.fewer and len(self.batches) == 2:  # the first one may have had to get ready
            (since, first), (now, _) = self.batches
            needed = max(1e-9, (now - since) / (done - first) * total)
            share = ENCODING * min(self._left(), self.pace.budget) / needed
            if share < 0.8:
                raise TooManyClipsError(share)

    def _left(self) -> float:
        return self.pace.deadline - self.pace.clock()
