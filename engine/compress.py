"""The whole story on one page: prepare, decide, cut, recover, verify, report."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.deciding import Decided, decide, measure_against_upload
from engine.errors import PostconditionFailed
from engine.graph.holes import features_after
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.measure.batches import outputs_in_batches
from engine.measure.cost import cost
from engine.measure.environment import describe
from engine.measure.fidelity import compare_fidelity
from engine.outcome import judge
from engine.planning import decisions
from engine.progress import Progress, Tell
from engine.recipe import Recipe
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.distil import distil
from engine.recovery.reference import Reference
from engine.recovery.schedule import Schedule
from engine.recovery.views import draw_views
from engine.report import Fidelity, LatencyComparison, Outcome, Recovery, Report
from engine.subject import Subject, prepare

FEW_TESTS = 30


def compress(
    source: Path,
    calibration: Path | None,
    recipe: Recipe,
    progress: Progress,
    checkpoint_folder: Path | None = None,
) -> tuple[Model, Report]:
    """Return the network that is delivered, never a slower one, and the account of what was done to it.

    What a killed attempt left in the checkpoint folder is gone on from. Raises EngineError for whatever the user can
    mend; the message says how.
    """
    torch.manual_seed(recipe.seed)
    clock = Clock(recipe.budget_seconds)
    subject = prepare(source, calibration, recipe, progress)
    checkpoint = Checkpoint(checkpoint_folder, subject.parts())
    reference = Reference(subject.model, subject.features, subject.split.selection, subject.compute)
    decided = decide(subject, reference, progress, clock, checkpoint)
    with progress.stage("cut") as tell:
        student = _cut(subject, decided, tell)
    with progress.stage("recover") as tell:
        recovery = _recover(subject, decided, student, reference, clock, tell, checkpoint)
    with progress.stage("merge"):
        student = merge(student)
    with progress.stage("verify"):
        _verify(subject, student)
    with progress.stage("report"):
        latency = measure_against_upload(subject, student, seconds=clock.part(0.08, 30), until_width=0.005)
        fidelity = _fidelity(subject, student)
    return _deliver(subject, student, decided, recovery, latency, fidelity, progress, clock)


def _cut(subject: Subject, decided: Decided, tell: Tell) -> Model:
    return cut_and_repair(
        subject.model,
        decided.plan.units,
        subject.split.repair,
        subject.split.selection,
        subject.compute,
        seed=subject.recipe.seed,
        on_hole=lambda done, total: tell(done / total, f"refitting the layer before hole {done + 1} of {total}"),
    )


def _recover(
    subject: Subject,
    decided: Decided,
    student: Model,
    reference: Reference,
    clock: Clock,
    tell: Tell,
    checkpoint: Checkpoint,
) -> Recovery:
    """Distil what the closed form left, in place; the last tenth of the budget is kept for the final measurements."""
    tell(0.0, "drawing views and asking the uncut network")
    features = features_after(subject.model, decided.plan.units, subject.features)
    error_plain = reference.error_of(remove_units(subject.model, decided.plan.units), features)
    error_closed_form = reference.error_of(student, features)
    views = draw_views(
        subject.model,
        subject.features,
        subject.split.repair,
        subject.compute,
        layout=subject.recipe.preprocess.layout,
        seed=subject.recipe.seed,
        seconds=0.2 * clock.left(),
    )
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


def _deliver(
    subject: Subject,
    student: Model,
    decided: Decided,
    recovery: Recovery,
    latency: LatencyComparison,
    fidelity: Fidelity | None,
    progress: Progress,
    clock: Clock,
) -> tuple[Model, Report]:
    before, after = cost(subject.upload, subject.image_shapes), cost(student, subject.image_shapes)
    verdict = judge(subject.recipe.target, latency, before, after, len(decided.plan.units), fidelity)
    gained = verdict.outcome is not Outcome.NO_GAIN
    delivered = student if gained else subject.upload
    report = Report(
        outcome=verdict.outcome,
        summary=verdict.summary,
        recipe=subject.recipe,
        latency=latency,
        predicted_latency_ratio=decided.plan.predicted_latency_ratio,
        original=before,
        delivered=after if gained else before,
        fidelity=fidelity,
        data=subject.data,
        units=decisions(decided.all_units, decided.ledger, decided.plan, gained=gained),
        unruled=decided.unruled,
        recovery=recovery,
        stages=tuple(progress.stages),
        environment=describe(subject.recipe.deploy),
        warnings=_warnings(subject, fidelity, clock),
        sha256=hashlib.sha256(delivered.to_bytes()).hexdigest(),
    )
    return delivered, report


def _warnings(subject: Subject, fidelity: Fidelity | None, clock: Clock) -> tuple[str, ...]:
    found = list(subject.notes)
    if subject.model.opset != subject.upload.opset:
        opsets = f"opset {subject.model.opset}; the one that was sent has {subject.upload.opset}"
        found.append(f"A network that was cut is delivered at {opsets}. The runtime must know it.")
    if fidelity is None:
        found.append("Accuracy and agreement are unmeasured: no real image was left to test on.")
    elif fidelity.images < FEW_TESTS:
        found.append(f"Only {fidelity.images} images were left to test on; the intervals are wide.")
    if subject.split.test.labels is not None and (fidelity is None or fidelity.accuracy is None):
        classes = len(subject.split.test.class_names) or int(subject.split.test.labels.max()) + 1
        found.append(f"No accuracy: the images' {classes} classes are not the classes that the network scores.")
    if subject.data.source != "calibration":
        found.append(f"{subject.data.source.capitalize()} images repaired the network; real ones repair it better.")
    if clock.overrun() > 0.05 * clock.budget_seconds:
        found.append(f"The job took {clock.overrun():.0f} s more than its budget of {clock.budget_seconds:g} s.")
    return tuple(found)
