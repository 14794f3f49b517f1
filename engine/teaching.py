"""How a cut network is taught: for how long, from where, and on views that all candidates of a job share."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.folds import StudentPace, schedule_by_folds, told_after_folds
from engine.graph.cuts import remove
from engine.graph.features import Features
from engine.graph.holes import features_after, find_holes
from engine.graph.model import Model
from engine.planning import Plan
from engine.progress import Tell
from engine.recovery.distil import Training, distil
from engine.recovery.prefix import Prefix, find_prefix, starting_values
from engine.recovery.reference import Reference
from engine.recovery.schedule import Schedule, schedule_for
from engine.recovery.views import CACHE_BYTES_MAX, VIEWS_PER_IMAGE_MAX, Start, Views, draw_views
from engine.report import Recovery
from engine.subject import Subject

PROBE_STEPS = 3
"""Steps that tell how long one takes."""

LOOKS_MIN = 12
"""However short a training is, so often it looks whether it is still getting better, if it has as many steps."""


@dataclass(frozen=True)
class Effort:
    """What one candidate may take: `work` is a part of a single job's; `sharers` divide the time that is left.

    One of ten takes 0.15 of a single job's 600 steps, 90, and at first at most a tenth of the time.
    """

    work: float = 1.0
    sharers: int = 1


class Workbench:
    """What the candidates of a job share: the network and its answers, the clock, and the views, drawn when needed."""

    def __init__(self, subject: Subject, reference: Reference, clock: Clock) -> None:
        self.subject, self.reference, self.clock = subject, reference, clock
        self._plain: Views | None = None

    def views(self, start: Start | None) -> Views:
        """Return the views as what training starts from; those of the images are drawn once for all candidates."""
        seconds = 0.2 * self.clock.left()
        if start is not None:
            return self.draw_views(start, seconds)
        if self._plain is None:
            self._plain = self.draw_views(None, seconds)
        return self._plain

    def draw_views(self, start: Start | None, seconds: float) -> Views:
        """Return views of the images for repair: each once, and in as many other ways as the seconds allow."""
        return draw_views(
            self.subject.model,
            self.subject.features,
            self.subject.split.repair,
            self.subject.compute,
            layout=self.subject.recipe.preprocess.layout,
            seed=self.subject.recipe.seed,
            seconds=seconds,
            start=start,
        )


def teach(
    bench: Workbench, plan: Plan, student: Model, effort: Effort, left_before: float, tell: Tell, checkpoint: Checkpoint
) -> Recovery:
    """Distil, in place, what the closed form left; `left_before` are the seconds there were before the cut."""
    subject, clock, reference = bench.subject, bench.clock, bench.reference
    features = features_after(subject.model, plan.units, subject.features)
    error_plain = reference.error_of(remove(subject.model, plan.cuts), features)
    error_closed_form = reference.error_of(student, features)
    schedule = shortened(schedule_for(student), effort.work)
    has_time = _training_seconds(clock, effort, left_before - clock.left()) > 0
    if not has_time and checkpoint.read_tensors("training") is None:
        return _untaught(error_plain, error_closed_form, schedule.steps)
    prefix, start = _start(bench, plan, student, features, effort)
    spent_before = left_before - clock.left()  # views not counted: they are drawn once for all candidates
    learn = functools.partial(
        distil,
        features=features,
        reference=reference,
        frozen=prefix.weights,
        device=subject.device,
        seed=subject.recipe.seed,
    )
    if effort == Effort():
        pace = StudentPace(spent_before, functools.partial(_step_seconds, bench, learn, student, schedule))
        schedule = _until(bench, plan, schedule, pace, tell, checkpoint)
    told = tell if schedule.until is None else told_after_folds(tell)
    told(0.0, "drawing views and asking the uncut network")
    views = bench.views(start)
    seconds = _training_seconds(clock, effort, spent_before)
    training = learn(student, views=views, schedule=schedule, seconds=seconds, tell=told, checkpoint=checkpoint)
    return training.account(error_plain, error_closed_form)


def _step_seconds(bench: Workbench, learn: Callable[..., Training], student: Model, schedule: Schedule) -> float:
    """Return how long a step of all layers takes: a copy takes a few, on one view of each image.

    Where those are fewer than a batch, a whole one takes so much longer.
    """
    few = dataclasses.replace(schedule, steps=PROBE_STEPS)
    views = bench.draw_views(None, seconds=0.0)
    apart = {"tell": lambda part, message: None, "checkpoint": Checkpoint(None, ()), "frozen": ()}
    probe = learn(student.copy(), views=views, schedule=few, seconds=math.inf, **apart)
    return probe.seconds / PROBE_STEPS * max(1.0, schedule.batch / len(views))


def _untaught(error_plain: float, error_closed_form: float, steps_planned: int) -> Recovery:
    """Return the account of a network for which no time is left: views that nobody learns from are not drawn."""
    return Recovery(
        error_plain=error_plain,
        error_closed_form=error_closed_form,
        error_final=error_closed_form,
        steps=0,
        steps_planned=steps_planned,
        best_step=0,
        stopped_by="budget",
    )


def _until(
    bench: Workbench, plan: Plan, schedule: Schedule, pace: StudentPace, tell: Tell, checkpoint: Checkpoint
) -> Schedule:
    """Return the schedule with the step that folds say to stop at, which a second attempt does not ask again."""
    kept = checkpoint.read_json("folds")
    if kept is None:
        seconds = functools.partial(_training_seconds, bench.clock, Effort(), 0.0)
        kept = {"until": schedule_by_folds(bench.subject, plan, schedule, seconds, pace, tell).until}
        checkpoint.write_json("folds", kept)
    return dataclasses.replace(schedule, until=kept["until"])


def _start(
    bench: Workbench, plan: Plan, student: Model, features: Features, effort: Effort
) -> tuple[Prefix, Start | None]:
    """Return what stays as it is, and what training starts from, None where that is the images.

    Where they pay only behind the layers that write into the first hole, those stay as the closed form left them.
    Candidates of a front start from the images, and so share their views.
    """
    holes, wanted = find_holes(bench.subject.model, plan.units), (*features.values, *features.logits)
    without, with_writers = (
        find_prefix(bench.subject.model, student, holes, wanted, with_writers=each) for each in (False, True)
    )
    if effort != Effort():
        return without, None
    images = bench.subject.split.repair
    bytes_max = CACHE_BYTES_MAX / (VIEWS_PER_IMAGE_MAX * len(images))
    for prefix in (without, with_writers):
        values = starting_values(student, prefix, images, bench.subject.compute, bytes_max)
        if values != (student.inputs[0].name,):
            return prefix, Start(student, values)
    return without, None


def _training_seconds(clock: Clock, effort: Effort, spent_before: float) -> float:
    """Return the seconds that this candidate may train for, so that each has as much.

    A tenth of a single job is kept for its final measurements; who comes later has to be cut first, as this one was.
    """
    measuring = clock.part(0.1 * effort.work, 45 * effort.work)
    others = (effort.sharers - 1) * (spent_before + measuring)
    return (clock.left() - others - measuring) / effort.sharers


def shortened(schedule: Schedule, work: float) -> Schedule:
    """Return a part of a schedule, `work` is 0 to 1, that gives up after the same part of its steps as the whole does.

    Of 600 steps with a look every 25 and patience for six of them, 0.15 are 90, with one every 7 and patience for four.
    Their rate is lower, as it is where the clock leaves so many.
    """
    steps = math.ceil(schedule.steps * work)
    looks_every = max(1, min(schedule.evaluate_every, steps // LOOKS_MIN))
    patience = math.ceil(schedule.patience * schedule.evaluate_every * work / looks_every)
    rate = schedule.learning_rate * math.pow(work, schedule.shrinks)
    return dataclasses.replace(schedule, steps=steps, learning_rate=rate, evaluate_every=looks_every, patience=patience)
