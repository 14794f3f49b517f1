"""How long a network is taught: what a candidate of a front may take, and what a step of a fold is said to take."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from engine import teaching
from engine.candidates import FRONT_WORK
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.graph.cuts import remove
from engine.graph.units import blocks, find_units
from engine.planning import Plan
from engine.recovery.distil import Training
from engine.recovery.reference import Reference
from engine.recovery.schedule import Schedule
from engine.teaching import LOOKS_MIN, PROBE_STEPS, Effort, Workbench, shortened, teach
from tests.engine.outputs.subjects import subject_of
from tests.networks import NETWORKS


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


@pytest.mark.parametrize("batch", [4, 64])
def test_a_step_of_a_fold_is_timed_on_all_layers_and_told_of_a_whole_batch(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folds train from the images; the student that is delivered may begin behind the layers that no cut touches."""
    subject = subject_of(NETWORKS["residual"][0]())
    last = blocks(find_units(subject.model))[-1]
    probed, told = list[dict[str, Any]](), list[float]()

    def distil(student: object, **asked: Any) -> Training:
        probed.append(asked)
        return Training(0.5, PROBE_STEPS, PROBE_STEPS, 1, "schedule", (), seconds=3.0)

    def by_folds(subject: object, plan: object, schedule: Schedule, seconds: Any, pace: Any, *_: Any) -> Schedule:
        told.append(pace.step_seconds())
        return schedule

    monkeypatch.setattr(teaching, "distil", distil)
    monkeypatch.setattr(teaching, "schedule_by_folds", by_folds)
    monkeypatch.setattr(teaching, "schedule_for", lambda model: dataclasses.replace(Schedule(), batch=batch))
    reference = Reference(subject.model, subject.features, subject.split.selection, subject.compute)
    bench = Workbench(subject, reference, Clock(600))
    student, checkpoint = remove(subject.model, [last]), Checkpoint(None, ())

    teach(bench, Plan((last,), 0.8, 0.1), student, Effort(), 600.0, lambda done, doing: None, checkpoint)

    probe, training = probed
    assert list(probe["views"].given) == [subject.model.inputs[0].name]
    assert probe["frozen"] == ()
    assert list(training["views"].given) != [subject.model.inputs[0].name]
    assert told == [pytest.approx(3.0 / PROBE_STEPS * max(1, batch / len(subject.split.repair)))]
