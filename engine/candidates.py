"""From a plan to a network that could be delivered: cut, recover, merge, verify, measure. A front makes several."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.deciding import measure_against_upload
from engine.errors import PostconditionFailed
from engine.graph.holes import features_after
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.measure.batches import outputs_in_batches
from engine.measure.cost import cost
from engine.measure.fidelity import compare_fidelity
from engine.planning import Plan
from engine.progress import Tell
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.distil import distil
from engine.recovery.reference import Reference
from engine.recovery.schedule import Schedule
from engine.recovery.views import Views, draw_views
from engine.report import Cost, Fidelity, LatencyComparison, Recovery
from engine.subject import Subject


class Stages(Protocol):
    """Where the work is told of: the whole job's progress, or the part of it that one candidate is."""

    def stage(self, name: str) -> AbstractContextManager[Tell]: ...


@dataclass(frozen=True)
class Candidate:
    """One plan carried out: `model` could be delivered, and the figures are measured on it."""

    plan: Plan
    model: Model
    recovery: Recovery
    latency: LatencyComparison
    cost: Cost
    fidelity: Fidelity | None


class Workbench:
    """What the candidates of a job share: the network and its answers, the clock, and the views, drawn when needed."""

    def __init__(self, subject: Subject, reference: Reference, clock: Clock) -> None:
        self.subject, self.reference, self.clock = subject, reference, clock

    @functools.cached_property
    def views(self) -> Views:
        return draw_views(
            self.subject.model,
            self.subject.features,
            self.subject.split.repair,
            self.subject.compute,
            layout=self.subject.recipe.preprocess.layout,
            seed=self.subject.recipe.seed,
            seconds=0.2 * self.clock.left(),
        )


def make_candidate(bench: Workbench, plan: Plan, stages: Stages, checkpoint: Checkpoint) -> Candidate:
    """Carry out one plan."""
    subject = bench.subject
    with stages.stage("cut") as tell:
        student = _cut(subject, plan, tell)
    with stages.stage("recover") as tell:
        recovery = _recover(bench, plan, student, tell, checkpoint)
    with stages.stage("merge"):
        student = merge(student)
    with stages.stage("verify"):
        _verify(subject, student)
    with stages.stage("report"):
        seconds = bench.clock.part(0.08, 30)
        latency = measure_against_upload(subject, student, seconds=seconds, until_width=0.005)
        fidelity = _fidelity(subject, student)
    return Candidate(plan, student, recovery, latency, cost(student, subject.image_shapes), fidelity)


def _cut(subject: Subject, plan: Plan, tell: Tell) -> Model:
    return cut_and_repair(
        subject.model,
        plan.units,
        subject.split.repair,
        subject.split.selection,
        subject.compute,
        seed=subject.recipe.seed,
        on_hole=lambda done, total: tell(done / total, f"refitting the layer before hole {done + 1} of {total}"),
    )


def _recover(bench: Workbench, plan: Plan, student: Model, tell: Tell, checkpoint: Checkpoint) -> Recovery:
    """Distil what the closed form left, in place; the last tenth of the budget is kept for the final measurements."""
    tell(0.0, "drawing views and asking the uncut network")
    subject, clock, reference = bench.subject, bench.clock, bench.reference
    features = features_after(subject.model, plan.units, subject.features)
    error_plain = reference.error_of(remove_units(subject.model, plan.units), features)
    error_closed_form = reference.error_of(student, features)
    views = bench.views
    training = distil(
        student,
        features,
        views,
        reference,
        schedule=Schedule(),
        device=subject.device,
        seed=subject.recipe.seed,
        seconds=clock.left() - clock.part(0.1, 45),
        tell=tell,
        checkpoint=checkpoint,
    )
    return Recovery(
        error_plain=error_plain,
        error_closed_form=error_closed_form,
        error_final=training.error,
        steps=training.steps,
        best_step=training.best_step,
        stopped_by=training.stopped_by,
    )


def _verify(subject: Subject, student: Model) -> None:
    """Hold the file to be delivered to its promise: valid, the upload's inputs and outputs, finite numbers."""
    if (student.inputs, student.outputs) != (subject.upload.inputs, subject.upload.outputs):
        raise PostconditionFailed("The cut changed the network's inputs or outputs.")
    try:
        onnx.checker.check_model(student.to_bytes())
    except onnx.checker.ValidationError as error:
        raise PostconditionFailed(f"The cut network is not valid ONNX: {error}") from error
    (outputs,) = outputs_in_batches(student, subject.split.repair.take(np.arange(1)), subject.compute)
    for name, output in outputs.items():
        if not np.isfinite(output).all():
            raise PostconditionFailed(f"The output '{name}' is not finite after recovery.", where=name)


def _fidelity(subject: Subject, student: Model) -> Fidelity | None:
    """Return the agreement on real images that neither choice nor repair has seen, None where there are none."""
    test = subject.split.test
    return compare_fidelity(subject.upload, student, test, subject.compute) if len(test) else None
