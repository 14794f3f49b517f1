"""The budget: who may take how much of it, and what is left."""

from __future__ import annotations

import pytest

from engine import clock
from engine.clock import LEAST, Clock


class Wall:
    """A clock on the wall whose hand is moved by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    made = Wall()
    monkeypatch.setattr(clock, "time", made)
    return made


def test_a_step_takes_its_share_within_what_is_useful_and_left(wall: Wall) -> None:
    budget = Clock(100)

    assert budget.part(0.2, 60) == pytest.approx(20)
    assert budget.part(0.2, 5) == pytest.approx(5)
    wall.now += 90
    assert budget.part(0.2, 60) == pytest.approx(10)
    wall.now += 30
    assert budget.part(0.2, 60) == pytest.approx(LEAST * 100)
    assert budget.overrun() == pytest.approx(20)


@pytest.mark.parametrize("spent", [0, 30, 99])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_part_of_the_work_ends_with_its_share_of_what_was_left(wall: Wall, spent: float, share: float) -> None:
    budget = Clock(100)
    wall.now += spent

    within = budget.within(share)

    assert within.left() == pytest.approx(share * (100 - spent))
    assert within.part(1, 1000) == pytest.approx(max(share * (100 - spent), LEAST * 100))
    assert budget.left() == pytest.approx(100 - spent)
    assert (budget.share, within.share, within.within(0.5).share) == (1, share, share / 2)


def test_of_a_spent_budget_no_part_is_left(wall: Wall) -> None:
    budget = Clock(10)
    wall.now += 12

    assert budget.within(0.4).left() == pytest.approx(-2)
