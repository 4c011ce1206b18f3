"""How far a run is, and when it rests or ends: by the count of its steps, or by the clock.

By the clock the schedule follows the share of a budget that is used up, so that the learning rate reaches its end when
the time does, on any machine and over any number of sittings; how many steps that makes is measured on the way.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gen3r.presets.recipe import Floor

Event = Literal["validate", "sample", "save"]
MEASURED = 20
"""Latest steps whose mean duration tells how many fit into the time that is left."""
FEWEST = 3
"""Steps before that number is believed."""


class Pace(ABC):
    """What the loop asks in every step. Steps are counted from 0; ``step`` of them are done."""

    @abstractmethod
    def begin(self, step: int, known: Mapping[str, Any]) -> None:
        """Start or go on at ``step`` with what `facts` said when the checkpoint was written."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """JSON for checkpoints."""

    @abstractmethod
    def stepped(self, step: int) -> None:
        """To be called after each step."""

    @abstractmethod
    def progress(self, step: int) -> float | None:
        """Share of the schedule that is over, 0..1; None: what the count of steps says."""

    @abstractmethod
    def planned(self, step: int) -> int:
        """Steps of the whole run, as far as is known."""

    @abstractmethod
    def ended(self, step: int) -> bool:
        """Whether the run is done."""

    @abstractmethod
    def resting(self, step: int) -> bool:
        """Whether the run has to stop now, to go on another time."""

    @abstractmethod
    def due(self, event: Event, step: int, every: int) -> bool:
        """Whether it is time for something that happens every so many steps (0: never)."""

    def may_close(self) -> bool:
        """Whether a run that has ended may export now, rather than another time."""
        return True

    def saw(self, metrics: Mapping[str, float]) -> None:  # noqa: B027 (most paces do not mind)
        """Told the numbers of a validation, by their names in the log."""


@dataclass
class StepPace(Pace):
    """A number of steps."""

    steps: int
    """Of the whole run."""

    def begin(self, step: int, known: Mapping[str, Any]) -> None:
        """Nothing to prepare."""

    def facts(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def stepped(self, step: int) -> None:
        """Nothing to measure."""

    def progress(self, step: int) -> float | None:
        """See ``Pace``."""
        return None

    def planned(self, step: int) -> int:
        """See ``Pace``."""
        return self.steps

    def ended(self, step: int) -> bool:
        """See ``Pace``."""
        return step >= self.steps

    def resting(self, step: int) -> bool:
        """Never."""
        return False

    def due(self, event: Event, step: int, every: int) -> bool:
        """Every so many steps, and at the end."""
        return every > 0 and (step % every == 0 or step == self.steps)


@dataclass(kw_only=True)
class ClockPace(Pace):
    """A budget of seconds, and a moment by which this sitting has to be over.

    The first step of a sitting compiles and fills caches: it is not counted.
    """

    budget: float
    """Seconds of training that the run is given, over all sittings."""
    guess: int
    """Steps of the whole run, until they are measured."""
    deadline: float = float("inf")
    """When this sitting has to be over, as ``clock`` tells it; saving takes place before."""
    margin: float = 0.0
    """Seconds before the deadline at which training stops, to save."""
    closing: float = 0.0
    """Seconds that exporting takes: with less before the deadline the run rests when it has ended, too."""
    floor: Floor | None = None
    """Where the run may end early."""
    every: Mapping[Event, float] = field(default_factory=lambda: {"validate": 60.0, "sample": 120.0, "save": 90.0})
    """Seconds between events; an event that the loop wants never does not happen."""
    clock: Callable[[], float] = time.monotonic
    """Seconds since whenever."""

    def __post_init__(self) -> None:
        self.before, self.good = 0.0, False
        self._since: float | None = None
        self._last: dict[Event, float] = {}
        self._times: deque[float] = deque(maxlen=MEASURED + 1)
        self._latest, self._slowest = self.clock(), 0.0

    @property
    def spent(self) -> float:
        """Seconds of the budget that are used up."""
        return self.before + (0.0 if self._since is None else self.clock() - self._since)

    def begin(self, step: int, known: Mapping[str, Any]) -> None:
        """Go on with the seconds that earlier sittings spent."""
        self.before, self.good = float(known.get("spent", 0.0)), bool(known.get("good", False))
        self._since, self._last = None, dict.fromkeys(self.every, self.clock())
        self._times.clear()
        self._latest, self._slowest = self.clock(), 0.0

    def facts(self) -> dict[str, Any]:
        """What is spent."""
        return {"spent": self.spent, "good": self.good}

    def stepped(self, step: int) -> None:
        """Take the time."""
        now = self.clock()
        self._slowest, self._latest = max(0.9 * self._slowest, now - self._latest), now
        if self._since is None:
            self._since = now
            self._last = dict.fromkeys(self.every, now)
        self._times.append(now)

    @property
    def seconds_per_step(self) -> float | None:
        """Mean of the latest steps; None before there are any."""
        if len(self._times) <= FEWEST:
            return None
        return (self._times[-1] - self._times[0]) / (len(self._times) - 1)

    def progress(self, step: int) -> float | None:
        """Share of the budget that is used up."""
        return min(1.0, self.spent / self.budget) if self.budget > 0 else 1.0

    def planned(self, step: int) -> int:
        """The steps done, and as many as fit into what is left."""
        each = self.seconds_per_step
        if self.ended(step):
            return max(1, step)
        if not each:
            return max(self.guess, step + 1)
        return step + 1 + int(max(0.0, self.budget - self.spent) / each)

    def ended(self, step: int) -> bool:
        """The budget is used up, or the floor is reached."""
        return self.good or self.spent >= self.budget

    def resting(self, step: int) -> bool:
        """The next step might not leave enough time to save."""
        return self.clock() + self.margin + 1.5 * self._slowest >= self.deadline

    def due(self, event: Event, step: int, every: int) -> bool:
        """Every so many seconds, and at the end; what is not saving only where there is time for it."""
        if every <= 0:
            return False
        now = self.clock()
        if event != "save" and now + self.margin + self._slowest >= self.deadline:
            return False
        if not self.ended(step) and now - self._last.get(event, now) < self.every[event]:
            return False
        self._last[event] = now
        return True

    def may_close(self) -> bool:
        """Whether there is time to export."""
        return self.clock() + self.closing <= self.deadline

    def saw(self, metrics: Mapping[str, float]) -> None:
        """Remember whether the floor is reached."""
        self.good = self.good or (self.floor is not None and self.floor.reached(metrics))
