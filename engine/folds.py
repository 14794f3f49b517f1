"""Folds: where few images are held out, students that have not seen some of the others say how long to train.

Five images tell a trend and not when to stop. So the images are shared out in folds; for each a student is cut,
refitted and trained without it, and looks at it as it learns. The step at which the mean of their looks is least is
where the student that is delivered, which learns from all of them, stops.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.checkpoint import Checkpoint
from engine.data.images import ImageSet, together
from engine.graph.holes import features_after
from engine.planning import Plan
from engine.progress import Tell
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.distil import Training, distil
from engine.recovery.reference import Reference
from engine.recovery.schedule import Schedule
from engine.recovery.views import draw_views
from engine.subject import Subject

FOLDS = 3
FEW_HELD_OUT = 16
"""From here on the held-out images say well enough when to stop."""
IMAGES_MIN = 2 * FOLDS
VIEWS_SHARE = 0.1
"""The part of a fold's time that its views may take."""


@dataclass(frozen=True)
class StudentPace:
    """How long the student that is delivered took before its views and its first step.

    `step_seconds` times a step of all its layers on a whole batch, as a fold takes them.
    """

    before_seconds: float
    step_seconds: Callable[[], float]


@dataclass(frozen=True)
class Fold:
    """Images to learn from, and images of the user's that are not among them in any view."""

    learn: ImageSet
    held_out: ImageSet


def schedule_by_folds(
    subject: Subject,
    plan: Plan,
    schedule: Schedule,
    seconds: Callable[[], float],
    pace: StudentPace,
    tell: Tell,
) -> Schedule:
    """Return the schedule with the step to stop at, or as it is where the held-out images, or the time, do without.

    `seconds` tells what is left. Folds are worth their time only where all of them and the student itself can go
    through the whole schedule. That is known from the student, which is cut already, before any fold is begun.
    """
    if len(subject.split.selection) >= FEW_HELD_OUT:
        return schedule
    folds = list(share_out(subject.split.repair, subject.split.selection, subject.sent, subject.recipe.seed))
    if not folds:
        return schedule

    def of_steps() -> float:
        return (1 - VIEWS_SHARE) * seconds() - len(folds) * pace.before_seconds

    if of_steps() <= 0 or (len(folds) + 1) * schedule.steps * pace.step_seconds() > of_steps():
        return schedule
    each, curves = seconds() / (len(folds) + 1), list[dict[int, float]]()
    for done, fold in enumerate(folds):
        curves.append(_relative(_train(subject, plan, fold, schedule, each, _told(tell, done))))
    return dataclasses.replace(schedule, until=best_step(curves))


def _told(tell: Tell, done: int) -> Tell:
    """Tell of a fold as a part of the stage, of which the student that is delivered takes the last one."""
    return lambda part, message: tell((done + part) / (FOLDS + 1), f"fold {done + 1} of {FOLDS}: {message}")


def told_after_folds(tell: Tell) -> Tell:
    """Tell of the student as the last part of the stage, behind the folds."""
    return lambda part, message: tell((FOLDS + part) / (FOLDS + 1), message)


def share_out(repair: ImageSet, selection: ImageSet, sent: frozenset[str], seed: int) -> Iterator[Fold]:
    """Yield the folds: each of the user's images is held out once, and then not learnt from in any view.

    Nothing where there are too few of them. Images that were made are always learnt from, and never judge.
    """
    names = np.array(sorted(sent & {*repair.names, *selection.names}))
    if len(names) < IMAGES_MIN:
        return
    order = np.random.default_rng(seed).permutation(len(names))
    for held in np.array_split(order, FOLDS):
        apart = set(names[held])
        yield Fold(repair.without(apart), together(repair.first_views(apart), selection.first_views(apart)))


def best_step(curves: Sequence[dict[int, float]]) -> int:
    """Return the step, 0 for none at all, at which the mean of the curves is least, of those that all came to."""
    common = sorted(set.intersection(*(set(curve) for curve in curves)))
    return min(common, key=lambda step: float(np.mean([curve[step] for curve in curves])))


def _relative(training: Training) -> dict[int, float]:
    """Return each look as a part of the first: folds differ more in their level than in their trend."""
    first = dict(training.looks)[0]
    return {step: error / max(first, 1e-30) for step, error in training.looks}


def _train(subject: Subject, plan: Plan, fold: Fold, schedule: Schedule, seconds: float, tell: Tell) -> Training:
    student = cut_and_repair(
        subject.model,
        plan.cuts,
        fold.learn,
        fold.held_out,
        subject.compute,
        seed=subject.recipe.seed,
        allowance=subject.allowance,
    )
    features = features_after(subject.model, plan.units, subject.features)
    views = draw_views(
        subject.model,
        subject.features,
        fold.learn,
        subject.compute,
        layout=subject.recipe.preprocess.layout,
        seed=subject.recipe.seed,
        seconds=VIEWS_SHARE * seconds,
    )
    return distil(
        student,
        features,
        views,
        Reference(subject.model, subject.features, fold.held_out, subject.compute),
        schedule=schedule,
        device=subject.device,
        seed=subject.recipe.seed,
        seconds=seconds,
        tell=tell,
        checkpoint=Checkpoint(None, ()),
    )
