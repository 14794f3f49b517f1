"""How much of a schedule the time allows, by a clock of our own, and what that does to the rate."""

from __future__ import annotations

import dataclasses

import pytest

from engine.recovery.schedule import GROUPED, PART_UNKNOWN, TIMED_TO, Pace, Schedule


class Clock:
    """Stands still until it is told of a step, the first of which takes ten times as long."""

    def __init__(self, seconds_a_step: float) -> None:
        self.now, self._a_step, self._first = 0.0, seconds_a_step, True

    def __call__(self) -> float:
        return self.now

    def take_step(self) -> None:
        self.now += self._a_step * (10 if self._first else 1)
        self._first = False


def parts(seconds: float, seconds_a_step: float, schedule: Schedule) -> list[float]:
    """Return what part of the schedule is told before each step that the time holds."""
    clock = Clock(seconds_a_step)
    pace = Pace(schedule, seconds, clock=clock)
    told: list[float] = []
    while len(told) < schedule.steps and pace.has_time():
        told.append(pace.part(len(told)))
        clock.take_step()
    return told


@pytest.mark.parametrize("seconds_a_step", [0.1, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("steps", [50, 600, 1200])
def test_what_part_of_the_steps_fits_is_told_once_and_comes_true(seconds_a_step: float, steps: int) -> None:
    told = parts(200.0, seconds_a_step, dataclasses.replace(Schedule(), steps=steps))

    known = set(told[TIMED_TO:])
    assert set(told[:TIMED_TO]) == {PART_UNKNOWN}
    assert len(known) == 1
    assert len(told) / steps == pytest.approx(known.pop(), abs=2 / steps)  # the longest step is kept in reserve


def test_a_machine_that_is_fast_enough_trains_at_one_rate_whatever_its_clock() -> None:
    told = {tuple(parts(1000.0, seconds, Schedule())) for seconds in (0.001, 0.1, 1.0)}

    assert len(told) == 1


def test_an_attempt_that_goes_on_keeps_to_what_the_first_was_told() -> None:
    clock = Clock(1.0)

    assert Pace(Schedule(), 100.0, 0.4, clock).part(TIMED_TO) == 0.4
    assert Pace(Schedule(), 100.0, None, clock).part(TIMED_TO) == 1.0


@pytest.mark.parametrize("part", [0.05, 0.25, 0.5, 1.0])
def test_fewer_steps_are_smaller_ones_but_those_that_are_small_anyway(part: float) -> None:
    peak, grouped = (max(schedule.rate(done / 100, part) for done in range(101)) for schedule in (Schedule(), GROUPED))

    assert peak == pytest.approx(Schedule().learning_rate * part ** (2 / 3))
    assert grouped == pytest.approx(GROUPED.learning_rate)
