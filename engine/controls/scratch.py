"""Scratch-E and Scratch-B: the network that was found, trained from random weights on the labelled images.

Liu et al., "Rethinking the Value of Network Pruning", ICLR 2019. arXiv:1810.05270
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.controls.initialise import initialise
from engine.controls.meaning import meaning
from engine.controls.norms import has_batch_norms, with_norms
from engine.graph.folds import fold
from engine.graph.model import Model
from engine.labels.lessons import lessons_for, refusal
from engine.labels.training import Lessons, Trained, train
from engine.measure.batches import fixed_batch
from engine.measure.fidelity import correct
from engine.measure.statistics import paired_difference, wilson
from engine.progress import Tell
from engine.recipe import ControlName
from engine.recovery.schedule import Schedule
from engine.report import ControlReport
from engine.subject import Subject

TIME_SHARE = 0.5
"""The part of what is left of the budget, once the images are read, that is kept for the controls."""

LONGER_MOST = 2.0
"""Scratch-B trains as many times longer as the network is smaller, but at most twice: so in the paper."""

FIXED_BATCH_LEAST = 8
"""A batch norm learns nothing from the statistics of fewer images than that."""

BATCH_LEAST, BATCH_MOST = 16, 128
STEPS_AN_EPOCH = 16

SGD_RATE, ADAMW_RATE = 0.1, 1e-3
"""At a batch of 128; the one falls with the batch, the other with its root."""


@dataclass(frozen=True)
class Found:
    """The network that a job found, and how many times fewer multiply-accumulates it takes than the original."""

    model: Model
    times_smaller: float


EPOCHS: dict[ControlName, Callable[[int, float], int]] = {
    "scratch_e": lambda epochs, times_smaller: epochs,
    "scratch_b": lambda epochs, times_smaller: round(epochs * min(max(times_smaller, 1.0), LONGER_MOST)),
}
"""How many epochs each control trains: E as many as asked for, B as many as cost what E's cost the original."""


def time_share(subject: Subject) -> float:
    """Return the part of the time, 0 to 1, that is to be kept for the controls that the recipe asks for."""
    trains = bool(subject.recipe.controls) and reason_against(subject, subject.model) is None
    return TIME_SHARE if trains else 0.0


def reason_against(subject: Subject, model: Model) -> str | None:
    """Say why a network cannot be trained from random weights, None where it can."""
    batch = fixed_batch(model)
    if batch is not None and batch < FIXED_BATCH_LEAST and has_batch_norms(with_norms(model)):
        return f"the network takes {batch} images at a time, too few for batch norms. Export it with an open batch."
    return refusal(subject, model)


def train_controls(
    subject: Subject, found: Found, clock: Clock, tell: Tell, checkpoint: Checkpoint
) -> tuple[ControlReport, ...]:
    """Train each control of the recipe within its share of what the clock has left.

    One that an earlier attempt trained is kept. Where one cannot be trained its report says why: no labels, no class
    scores, half precision.
    """
    names, reason = subject.recipe.controls, reason_against(subject, found.model)
    if reason is not None:
        return tuple(_untrained(name, reason) for name in names)
    lessons = lessons_for(subject, found.model)
    delivered = correct(found.model, subject.split.test, subject.compute)
    assert delivered is not None
    reports = []
    for place, name in enumerate(names):
        kept, room = checkpoint.read_json(name), checkpoint.of(name)
        clock_here = clock.within(1 / (len(names) - place))

        def tell_part(done: float, said: str, place: int = place, name: str = name) -> None:
            tell((place + done) / len(names), f"{name}: {said}")

        if kept is None:
            report = _train_one(subject, found, lessons, name, clock_here.left(), delivered, tell_part, room)
            checkpoint.write_json(name, report.model_dump(mode="json"))
        reports.append(report if kept is None else ControlReport.model_validate(kept))
    return tuple(reports)


def untrained_copy(model: Model, seed: int) -> Model:
    """Return the same architecture with batch norms, as far as it can have them, and random weights."""
    copy = with_norms(model)
    initialise(copy, seed)
    return copy


def schedule_for(model: Model, images: int, epochs: int) -> Schedule:
    """Return the schedule that a network of this kind is usually trained by: 400 images, 160 epochs are 4,000 steps."""
    batch = int(min(max(2 ** math.floor(math.log2(max(images / STEPS_AN_EPOCH, 1))), BATCH_LEAST), BATCH_MOST))
    steps = max(math.ceil(epochs * images / batch), 1)
    if has_batch_norms(model):
        return Schedule("sgd", steps=steps, batch=batch, learning_rate=SGD_RATE * batch / BATCH_MOST, warm_up=0.05)
    rate = ADAMW_RATE * math.sqrt(batch / BATCH_MOST)
    return Schedule("adamw", steps=steps, batch=batch, learning_rate=rate, warm_up=0.05)


def _train_one(
    subject: Subject,
    found: Found,
    lessons: Lessons,
    name: ControlName,
    seconds: float,
    delivered: npt.NDArray[np.bool_],
    tell: Tell,
    checkpoint: Checkpoint,
) -> ControlReport:
    epochs, images = EPOCHS[name](subject.recipe.control_epochs, found.times_smaller), len(lessons.images)
    model = untrained_copy(found.model, subject.recipe.seed)
    schedule = schedule_for(model, images, epochs)
    trained = train(
        model,
        lessons,
        schedule,
        device=subject.device,
        seed=subject.recipe.seed,
        seconds=seconds,
        tell=tell,
        checkpoint=checkpoint,
    )
    if not trained.is_finite or trained.steps == 0:
        return _untrained(name, _why_not(trained))
    right = correct(fold(model), subject.split.test, subject.compute)
    assert right is not None
    return _report(name, epochs, schedule, images, trained, right, delivered)


def _report(
    name: ControlName,
    epochs: int,
    schedule: Schedule,
    images: int,
    trained: Trained,
    right: npt.NDArray[np.bool_],
    delivered: npt.NDArray[np.bool_],
) -> ControlReport:
    accuracy, inherited = (wilson(int(hits.sum()), len(hits)) for hits in (right, delivered))
    report = ControlReport(
        name=name,
        accuracy=accuracy,
        inherited_accuracy=inherited,
        difference=paired_difference(right, delivered),
        images=images,
        test_images=len(right),
        epochs=round(trained.steps * schedule.batch / images, 1),
        epochs_planned=epochs,
        seconds=round(trained.seconds, 1),
        stopped_by=trained.stopped_by,
        meaning="",
    )
    return report.model_copy(update={"meaning": meaning(report)})


def _untrained(name: ControlName, reason: str) -> ControlReport:
    return ControlReport(name=name, meaning=f"Not trained: {reason}")


def _why_not(trained: Trained) -> str:
    if trained.is_finite:
        return "no time was left for a single step. Give the job more budget_seconds."
    return f"the weights ran away within {trained.steps} steps."
