"""What a candidate of a front may take, against what a single job takes."""

from __future__ import annotations

import pytest

from engine.candidates import FRONT_WORK
from engine.recovery.schedule import Schedule
from engine.teaching import LOOKS_MIN, shortened


def test_a_single_job_trains_by_the_whole_schedule() -> None:
    assert shortened(Schedule(), 1.0) == Schedule()


@pytest.mark.parametrize("count", range(2, 21))
def test_candidates_together_train_half_as_much_again_and_are_as_patient(count: int) -> None:
    whole = Schedule()

    part = shortened(whole, FRONT_WORK / count)

    assert FRONT_WORK * whole.steps <= count * part.steps < FRONT_WORK * whole.steps + count
    assert LOOKS_MIN <= part.steps / part.evaluate_every <= 2 * LOOKS_MIN
    patience = part.patience * part.evaluate_every / part.steps
    of_the_whole = whole.patience * whole.evaluate_every / whole.steps
    assert part.learning_rate == pytest.approx(whole.rate(whole.warm_up, FRONT_WORK / count))
    assert of_the_whole - 0.01 <= patience <= of_the_whole + 1.1 / LOOKS_MIN
