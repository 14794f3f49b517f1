"""The whole story on one page: prepare, decide, cut, recover, verify, report."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch

from engine.candidates import Candidate, Workbench, make_candidate
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.deciding import Decided, decide
from engine.graph.model import Model
from engine.measure.cost import cost
from engine.measure.environment import describe
from engine.outcome import judge
from engine.planning import decisions
from engine.progress import Progress
from engine.recipe import Recipe
from engine.recovery.reference import Reference
from engine.report import Fidelity, Outcome, Report
from engine.subject import Subject, prepare

FEW_TESTS = 30


class Delivery(NamedTuple):
    """The network that is delivered and the account of what was done to it."""

    model: Model
    report: Report


def compress(
    source: Path,
    calibration: Path | None,
    recipe: Recipe,
    progress: Progress,
    checkpoint_folder: Path | None = None,
) -> Delivery:
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
    bench = Workbench(subject, reference, clock)
    candidate = make_candidate(bench, decided.plan, progress, checkpoint)
    return _deliver(subject, decided, candidate, progress, clock)


def _deliver(subject: Subject, decided: Decided, made: Candidate, progress: Progress, clock: Clock) -> Delivery:
    before = cost(subject.upload, subject.image_shapes)
    verdict = judge(subject.recipe.target, made.latency, before, made.cost, len(made.plan.units), made.fidelity)
    gained = verdict.outcome is not Outcome.NO_GAIN
    delivered = made.model if gained else subject.upload
    report = Report(
        outcome=verdict.outcome,
        summary=verdict.summary,
        recipe=subject.recipe,
        latency=made.latency,
        predicted_latency_ratio=made.plan.predicted_latency_ratio,
        original=before,
        delivered=made.cost if gained else before,
        fidelity=made.fidelity,
        data=subject.data,
        units=decisions(decided.all_units, decided.ledger, made.plan, gained=gained),
        unruled=decided.unruled,
        recovery=made.recovery,
        stages=tuple(progress.stages),
        environment=describe(subject.recipe.deploy),
        warnings=_warnings(subject, made.fidelity, clock),
        sha256=hashlib.sha256(delivered.to_bytes()).hexdigest(),
    )
    return Delivery(delivered, report)


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
