"""The whole story on one page: load, measure, score, search, cut, recover, verify, report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.errors import PostconditionFailed
from engine.graph.holes import features_after
from engine.graph.merge import merge
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, find_units
from engine.measure.batches import outputs_in_batches
from engine.measure.cost import cost
from engine.measure.environment import describe
from engine.measure.fidelity import compare_fidelity
from engine.measure.latency import compare_latency, time_models
from engine.measure.unit_table import latency_shares
from engine.methods import METHODS
from engine.methods.study import Study
from engine.outcome import judge
from engine.planning import Ledger, Plan, decisions, open_ledger, plan_cuts, removable
from engine.progress import Progress, Tell
from engine.recipe import LatencyMs, LatencyRatio, Recipe
from engine.recovery.closed_form import cut_and_repair
from engine.recovery.distil import Schedule, distil
from engine.recovery.reference import Reference
from engine.recovery.views import draw_views
from engine.report import Fidelity, LatencyComparison, Outcome, Recovery, Report
from engine.subject import Subject, prepare

JUDGES_MAX = 100
"""Images that score the units; more cost time and move no rank."""


@dataclass(frozen=True)
class Decided:
    """What was found and what was chosen of it."""

    all_units: Sequence[Unit]
    ledger: Ledger
    plan: Plan


def compress(
    source: Path, calibration: Path | None, recipe: Recipe, progress: Progress, checkpoint: Checkpoint
) -> tuple[Model, Report]:
    """Return the network that is delivered, never a slower one, and the account of what was done to it.

    Scores, plan and training are kept in the checkpoint and gone on from. Raises EngineError for whatever the user can
    mend; the message says how.
    """
    torch.manual_seed(recipe.seed)
    clock = Clock(recipe.budget_seconds)
    subject = prepare(source, calibration, recipe, progress)
    reference = Reference(subject.model, subject.features, subject.split.selection, subject.compute)
    decided = _decide(subject, reference, progress, clock, checkpoint)
    with progress.stage("cut") as tell:
        student = _cut(subject, decided.plan, tell)
    with progress.stage("recover") as tell:
        recovery = _recover(subject, decided.plan, student, reference, clock, tell, checkpoint)
    with progress.stage("merge"):
        student = merge(student)
    with progress.stage("verify"):
        _verify(subject, student)
    with progress.stage("report"):
        latency = _compare(subject, student, clock.part(0.08, 30))
        fidelity = _fidelity(subject, student)
    return _deliver(subject, student, decided, recovery, latency, fidelity, progress)


def _decide(
    subject: Subject, reference: Reference, progress: Progress, clock: Clock, checkpoint: Checkpoint
) -> Decided:
    """Find the units, price them in accuracy and in time, and choose."""
    with progress.stage("measure"):
        original_ms = _time_original(subject, clock)
    with progress.stage("units"):
        all_units = find_units(subject.model)
        units = removable(all_units, subject.recipe.method.keep)
    with progress.stage("score") as tell:
        harm = checkpoint.read_json("harm") or METHODS[subject.recipe.method.name](
            _study(subject, units, reference), tell
        )
        checkpoint.write_json("harm", harm)
    with progress.stage("search") as tell:
        ledger = _open_ledger(subject, units, harm, original_ms, clock)
        plan = _plan(ledger, subject, clock, tell, checkpoint)
    return Decided(all_units, ledger, plan)


def _plan(ledger: Ledger, subject: Subject, clock: Clock, tell: Tell, checkpoint: Checkpoint) -> Plan:
    """Plan anew, or take the first attempt's plan: half-trained weights fit no other."""
    kept = checkpoint.read_json("plan")
    if kept is not None:
        by_name = {unit.name: unit for unit in ledger.units}
        return Plan(tuple(by_name[name] for name in kept["units"]), kept["predicted_latency_ratio"])
    plan = plan_cuts(ledger, _measurer(subject, clock), tell)
    names = [unit.name for unit in plan.units]
    checkpoint.write_json("plan", {"units": names, "predicted_latency_ratio": plan.predicted_latency_ratio})
    return plan


def _time_original(subject: Subject, clock: Clock) -> float:
    """Return the upload's median time for one batch in milliseconds, where it will be deployed."""
    samples = time_models(
        {"": subject.upload},
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=clock.part(0.02, 5),
    )
    return float(np.median(samples[""]))


def _study(subject: Subject, units: Sequence[Unit], reference: Reference) -> Study:
    judges = reference.images.take(np.arange(min(len(reference.images), JUDGES_MAX)))
    return Study(
        model=subject.model,
        units=tuple(units),
        repair=subject.split.repair,
        reference=Reference(subject.model, subject.features, judges, subject.compute),
        compute=subject.compute,
        seed=subject.recipe.seed,
    )


def _open_ledger(
    subject: Subject, units: Sequence[Unit], harm: dict[str, float], original_ms: float, clock: Clock
) -> Ledger:
    shares = latency_shares(
        subject.model,
        units,
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=clock.part(0.08, 40),
    )
    return open_ledger(
        subject.model,
        units,
        harm,
        shares,
        subject.recipe.target,
        original_ms=original_ms,
        image_shapes=subject.image_shapes,
    )


def _measurer(subject: Subject, clock: Clock) -> Callable[[Sequence[Unit]], float] | None:
    """Return what tells how much of the latency a plan saves, or None where the target is not a time."""
    if not isinstance(subject.recipe.target, LatencyRatio | LatencyMs):
        return None

    def measured_saving(units: Sequence[Unit]) -> float:
        cut = merge(remove_units(subject.model, units))
        return 1 - _compare(subject, cut, clock.part(0.03, 10), until_width=0.008).ratio.value

    return measured_saving


def _compare(subject: Subject, cut: Model, seconds: float, until_width: float = 0.005) -> LatencyComparison:
    return compare_latency(
        subject.upload,
        cut,
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=seconds,
        until_width=until_width,
    )


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


def _recover(
    subject: Subject,
    plan: Plan,
    student: Model,
    reference: Reference,
    clock: Clock,
    tell: Tell,
    checkpoint: Checkpoint,
) -> Recovery:
    """Distil what the closed form left; the last tenth of the budget is kept for the final measurements."""
    tell(0.0, "drawing views and asking the uncut network")
    features = features_after(subject.model, plan.units, subject.features)
    error_plain = reference.error_of(remove_units(subject.model, plan.units), features)
    error_closed_form = reference.error_of(student, features)
    views = draw_views(
        subject.model,
        subject.features,
        subject.split.repair,
        subject.compute,
        layout=subject.recipe.preprocess.layout,
        seed=subject.recipe.seed,
    )
    reserve = clock.part(0.1, 45)
    training = distil(
        student,
        features,
        views,
        reference,
        schedule=Schedule(),
        device=subject.device,
        seed=subject.recipe.seed,
        seconds=clock.left() - reserve,
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
    """Hold the file to be delivered to its promise: the upload's inputs and outputs, and finite numbers."""
    if (student.inputs, student.outputs) != (subject.upload.inputs, subject.upload.outputs):
        raise PostconditionFailed("The cut changed the network's inputs or outputs.")
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
) -> tuple[Model, Report]:
    before, after = cost(subject.upload, subject.image_shapes), cost(student, subject.image_shapes)
    verdict = judge(subject.recipe.target, latency, before, after, len(decided.plan.units), fidelity)
    delivered = subject.upload if verdict.outcome is Outcome.NO_GAIN else student
    report = Report(
        outcome=verdict.outcome,
        summary=verdict.summary,
        recipe=subject.recipe,
        latency=latency,
        predicted_latency_ratio=decided.plan.predicted_latency_ratio,
        original=before,
        delivered=after,
        fidelity=fidelity,
        data=subject.data,
        units=decisions(decided.all_units, decided.ledger, decided.plan),
        recovery=recovery,
        stages=tuple(progress.stages),
        environment=describe(subject.recipe.deploy),
        warnings=_warnings(subject, fidelity),
        sha256=hashlib.sha256(delivered.to_bytes()).hexdigest(),
    )
    return delivered, report


def _warnings(subject: Subject, fidelity: Fidelity | None) -> tuple[str, ...]:
    found = []
    if fidelity is None:
        found.append("Accuracy and agreement are unmeasured: no real image was left to test on.")
    elif fidelity.images < 30:
        found.append(f"Only {fidelity.images} images were left to test on; the intervals are wide.")
    if subject.data.source != "calibration":
        found.append(f"{subject.data.source.capitalize()} images repaired the network; real ones repair it better.")
    return tuple(found)
