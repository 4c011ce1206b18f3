"""Runs that follow a clock: the schedule is over when the budget is, in however many sittings."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gen3r.presets.loop import LoopConfig
from gen3r.presets.recipe import Floor
from gen3r.train.optim import learning_rate
from gen3r.train.pace import ClockPace, StepPace


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def work(pace: ClockPace, clock: Clock, step: int, seconds: float) -> int:
    """Steps of so many seconds until the pace says to stop; returns the steps done in all."""
    while not pace.ended(step) and not pace.resting(step):
        clock.now += seconds
        step += 1
        pace.stepped(step)
    return step


@example(seconds=1.5110968886056073, budget=131.45703125, sitting=7.555484443028036)  # spent to the last digit
@given(st.floats(0.5, 5.0), st.floats(20.0, 200.0), st.floats(3.0, 20.0))
def test_sittings_add_up_to_the_budget_and_end_before_their_deadlines(
    seconds: float, budget: float, sitting: float
) -> None:
    clock, step, known, progress = Clock(), 0, {}, [0.0]
    sitting = max(sitting, 5 * seconds)
    for _ in range(200):
        pace = ClockPace(budget=budget, guess=10, deadline=clock.now + sitting, margin=0.2, clock=clock)
        pace.begin(step, known)
        step = work(pace, clock, step, seconds)
        progress.append(pace.progress(step) or 0.0)
        known = pace.facts()
        if pace.ended(step):
            break
        assert clock.now + pace.margin <= pace.deadline
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert budget <= known["spent"] < budget + seconds + 1e-3


def test_steps_are_planned_by_what_they_took() -> None:
    clock = Clock()
    pace = ClockPace(budget=100.0, guess=7, clock=clock)
    pace.begin(0, {})
    assert pace.planned(0) == 7
    for step in range(1, 11):
        clock.now += 2.0
        pace.stepped(step)
    assert pace.seconds_per_step == 2.0
    assert pace.planned(10) == 10 + 1 + int((100 - 18) / 2)  # the first step is not counted


def test_events_take_place_by_the_clock_and_only_where_there_is_time() -> None:
    clock = Clock()
    every = {"validate": 10.0, "sample": 10.0, "save": 10.0}
    pace = ClockPace(budget=1000.0, guess=7, deadline=clock.now + 30, margin=5.0, every=every, clock=clock)
    pace.begin(0, {})
    pace.stepped(1)
    assert not pace.due("validate", 1, 5)
    clock.now += 11
    assert pace.due("validate", 2, 5)
    assert not pace.due("validate", 2, 5)
    assert not pace.due("sample", 2, 0)  # wanted never
    clock.now += 15
    assert not pace.due("validate", 3, 5)
    assert pace.due("save", 3, 5)


def test_a_floor_ends_a_run_and_is_remembered() -> None:
    clock, floor = Clock(), Floor(metric="psnr", value=30.0, above=True)
    pace = ClockPace(budget=100.0, guess=7, floor=floor, clock=clock)
    pace.begin(0, {})
    pace.saw({"val/psnr": 29.9})
    assert not pace.ended(5)
    pace.saw({"val/psnr": 30.1})
    assert pace.ended(5)
    later = ClockPace(budget=100.0, guess=7, floor=floor, clock=clock)
    later.begin(5, pace.facts())
    assert later.ended(5)
    assert not Floor(metric="absrel", value=0.1, above=False).reached({"val/psnr": 0.0})


def test_the_rate_follows_the_share_of_the_budget() -> None:
    config = LoopConfig(steps=100, batch_size=1, lr=1.0, warmup=10, final_lr=0.1)
    rates = [learning_rate(1000, config, progress / 10) for progress in range(11)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], round(rates[-1], 9)) == (1.0, 0.1)
    assert learning_rate(4, config, 0.0) == 0.5
    assert StepPace(100).progress(50) is None
