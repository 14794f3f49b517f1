"""Feature distillation: the cut network learns the uncut one's features; held-out images say when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.checkpoint import Checkpoint
from engine.graph.features import Features
from engine.graph.model import Model
from engine.recovery.reference import Reference
from engine.recovery.schedule import Pace, Schedule
from engine.recovery.student import Student
from engine.recovery.views import Views
from engine.report import Recovery, StoppedBy

SAVE_EVERY_SECONDS = 20.0


@dataclass(frozen=True)
class Training:
    """What came of it: `best_step` is the one delivered, 0 where no step was better than the start.

    `looks` are steps, and the held-out feature error at each, from the start on; `seconds` went into the steps.
    """

    error: float
    steps: int
    steps_planned: int
    best_step: int
    stopped_by: StoppedBy
    looks: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0

    def account(self, error_plain: float, error_closed_form: float) -> Recovery:
        """Return the report's word on it, with the errors before any repair and after the closed form."""
        return Recovery(
            error_plain=error_plain,
            error_closed_form=error_closed_form,
            error_final=self.error,
            steps=self.steps,
            steps_planned=self.steps_planned,
            best_step=self.best_step,
            stopped_by=self.stopped_by,
        )


def distil(
    student: Model,
    features: Features,
    views: Views,
    reference: Reference,
    *,
    schedule: Schedule,
    device: str,
    seed: int,
    seconds: float,
    tell: Callable[[float, str], None],
    checkpoint: Checkpoint,
    frozen: Iterable[str] = (),
) -> Training:
    """Train the student's weights in place and leave them at the step with the least held-out feature error.

    `features` are the student's, in the order of the reference's; `frozen` are weights to leave alone. The learning
    rate falls along a cosine over the steps or the seconds, whichever end sooner, from a peak that is lower where the
    seconds do not hold all steps.
    """
    kept = checkpoint.read_tensors("training")
    pace = Pace(schedule, seconds, None if kept is None else kept["part"])
    learner = Student(student, features, views, reference, schedule=schedule, frozen=frozen, device=device, seed=seed)
    learner.resume(kept)
    started = time.monotonic()
    stopped_by = _train(learner, schedule, pace, tell, checkpoint)
    took = time.monotonic() - started
    learner.finish()
    looks = tuple(learner.looks)
    return Training(learner.error, learner.step, schedule.steps, learner.best_step, stopped_by, looks, took)


def _train(
    learner: Student, schedule: Schedule, pace: Pace, tell: Callable[[float, str], None], checkpoint: Checkpoint
) -> StoppedBy:
    """Take steps until the schedule, the patience or the time ends; say which."""
    saved = time.monotonic()
    while learner.step < schedule.steps:
        if learner.step == schedule.until:
            return "folds"
        if learner.looks_in_vain >= schedule.patience:
            return "early_stop"
        if not pace.has_time():
            return "budget"
        done = pace.done(learner.step)
        if done < schedule.warm_up:
            learner.expect_more()  # a rising rate first leads away from what the closed form found
        learner.take_step(schedule.rate(done, pace.part(learner.step)))
        if learner.step % schedule.evaluate_every == 0:
            learner.look()
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            checkpoint.write_tensors("training", learner.state() | {"part": pace.told_part})
            saved = time.monotonic()
        tell(done, _told(learner, schedule, pace))
    return "schedule"


def _told(learner: Student, schedule: Schedule, pace: Pace) -> str:
    steps = f"step {learner.step}, {schedule.steps} at most"
    return f"{steps}, held-out error {learner.error:.4f} at best, {pace.left(learner.step):.0f} s left at most"
