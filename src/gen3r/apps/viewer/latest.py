"""Answering the newest of many requests."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable


class LatestOnly:
    """Calls an action, one call at a time; of the requests that waited meanwhile the newest alone.

    A slider asks dozens of times a second, from several threads. The action reads the sliders itself, so that the
    newest call is the one that counts.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._tickets = itertools.count()
        self._newest = -1
        self._lock = threading.RLock()

    def __call__(self) -> None:
        """Ask; returns when this request has been met or a newer one has taken its place."""
        ticket = self._newest = next(self._tickets)
        with self._lock:
            if ticket == self._newest:
                self._action()
