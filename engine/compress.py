"""The whole story on one page: prepare, decide, cut, recover, verify, report."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from engine.allowance import allowance
from engine.candidates import Candidate, make_candidates
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.controls.scratch import Found, time_share, train_controls
from engine.deciding import Decided, decide
from engine.front import ONE, Choice, Measured, choose_front
from engine.graph.heads import rotated
from engine.graph.model import Model
from engine.labels.sparsity import sparsified
from engine.measure.cost import cost
from engine.measure.environment import describe
from engine.outcome import Verdict, judge, judge_front
from engine.outputs.making import Outputs, expect_outputs, make_outputs
from engine.planning import decisions, group_decisions
from engine.progress import Progress
from engine.recipe import Magnitude, Pareto, Recipe
from engine.recovery.reference import Reference
from engine.report import CandidateReport, ControlReport, DroppedCandidate, Fidelity, Outcome, Report
from engine.subject import Subject, prepare
from engine.teaching import Workbench
from engine.thinning import thin_network

FEW_TESTS = 30


class Delivery(NamedTuple):
    """The network that is delivered, the account of what was done to it, and by file what else there is of it.

    `candidates` are all networks of a front, `outputs` the delivered one in fewer bits.
    """

    model: Model
    report: Report
    candidates: Mapping[str, Model]
    outputs: Mapping[str, Model]


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
    subject = sparsified(subject, progress, clock, checkpoint)
    reference = Reference(subject.model, subject.features, subject.split.selection, subject.compute)
    if isinstance(recipe.method, Magnitude):
        return _thinned(subject, reference, progress, clock)
    work_clock = _expect_controls(subject, progress, expect_outputs(subject, progress, clock))
    subject = _allowing(subject, work_clock)
    decided = decide(subject, reference, progress, work_clock, checkpoint)
    if decided.rotations:
        subject = dataclasses.replace(subject, model=rotated(subject.model, decided.rotations))
    made = make_candidates(Workbench(subject, reference, work_clock), decided.plans, progress, checkpoint)
    choice, verdict = _choose(subject, made)
    network = _network(subject, made[choice.model], verdict)
    outputs = make_outputs(subject, network, clock, progress, checkpoint.of("outputs"))
    controls = _controls(subject, made[choice.model], progress, clock, checkpoint)
    return _deliver(subject, decided, made, choice, verdict, outputs, controls, progress, clock)


def _thinned(subject: Subject, reference: Reference, progress: Progress, clock: Clock) -> Delivery:
    """Tell the shorter story of a method that makes zeros and cuts nothing."""
    made = thin_network(subject, reference, progress, clock)
    chosen, before = made.candidate, cost(subject.upload, subject.image_shapes)
    network = _network(subject, chosen, made.verdict)
    asked = subject.recipe.controls or len(subject.recipe.outputs) > 1
    left_out = ("Method magnitude finds no architecture: controls and further outputs were not made.",) if asked else ()
    report = Report(
        outcome=made.verdict.outcome,
        summary=made.verdict.summary,
        recipe=subject.recipe,
        latency=chosen.latency,
        predicted_latency_ratio=None,
        original=before,
        delivered=before if network is subject.upload else chosen.cost,
        fidelity=chosen.fidelity,
        data=subject.data,
        units=(),
        recovery=chosen.recovery,
        zeros=made.zeros,
        stages=tuple(progress.stages),
        environment=describe(subject.recipe.deploy),
        warnings=(*_warnings(subject, chosen.fidelity, clock), made.zeros.meaning, *left_out),
        sha256=_sha256(network),
    )
    return Delivery(network, report, {}, {})


def _expect_controls(subject: Subject, progress: Progress, clock: Clock) -> Clock:
    """Return the clock of all work but the controls, which is the job's own where none are to be trained."""
    share = time_share(subject)
    if subject.recipe.controls:
        progress.expect_controls(share)
    return clock.within(1 - share)


def _allowing(subject: Subject, clock: Clock) -> Subject:
    """Return the subject with what the budget allows where controls and further outputs take their part of it."""
    allowed = allowance(subject.model, subject.image_shapes, subject.recipe.budget_seconds, clock.share)
    return dataclasses.replace(subject, allowance=allowed)


def _controls(
    subject: Subject, chosen: Candidate, progress: Progress, clock: Clock, checkpoint: Checkpoint
) -> tuple[ControlReport, ...]:
    if not subject.recipe.controls:
        return ()
    before = cost(subject.upload, subject.image_shapes)
    found = Found(chosen.model, before.macs / max(chosen.cost.macs, 1))
    with progress.stage("controls") as tell:
        return train_controls(subject, found, clock, tell, checkpoint.of("control"))


def _choose(subject: Subject, made: Sequence[Candidate]) -> tuple[Choice, Verdict]:
    """Take what was made, or of a front what belongs to it, and judge it."""
    target = subject.recipe.target
    if isinstance(target, Pareto):
        found = [_measured(one) for one in made]
        choice = choose_front(found, target.min_agreement)
        return choice, judge_front(target, found, choice)
    (one,) = made
    before = cost(subject.upload, subject.image_shapes)
    units, groups = len(one.plan.units), len(one.plan.narrowings)
    return ONE, judge(target, one.latency, before, one.cost, units, one.fidelity, groups)


def _network(subject: Subject, chosen: Candidate, verdict: Verdict) -> Model:
    """Return what is delivered: the upload where nothing was gained."""
    return subject.upload if verdict.outcome is Outcome.NO_GAIN else chosen.model


def _measured(one: Candidate) -> Measured:
    agreement = None if one.fidelity is None or one.fidelity.agreement is None else one.fidelity.agreement.value
    return Measured(one.latency.ratio, one.recovery.error_final, agreement)


def _deliver(
    subject: Subject,
    decided: Decided,
    made: Sequence[Candidate],
    choice: Choice,
    verdict: Verdict,
    outputs: Outputs,
    controls: tuple[ControlReport, ...],
    progress: Progress,
    clock: Clock,
) -> Delivery:
    chosen, before = made[choice.model], cost(subject.upload, subject.image_shapes)
    gained = verdict.outcome is not Outcome.NO_GAIN
    delivered = _network(subject, chosen, verdict)
    files = {f"candidates/{number:02}.onnx": place for number, place in enumerate(choice.kept, start=1)}
    report = Report(
        outcome=verdict.outcome,
        summary=verdict.summary,
        recipe=subject.recipe,
        latency=chosen.latency,
        predicted_latency_ratio=chosen.plan.predicted_latency_ratio,
        original=before,
        delivered=chosen.cost if gained else before,
        fidelity=chosen.fidelity,
        data=subject.data,
        units=decisions(decided.all_units, decided.ledger, chosen.plan, gained=gained),
        groups=group_decisions(decided.all_groups, decided.staying, decided.ledger, chosen.plan, gained=gained),
        unruled=decided.unruled,
        recovery=chosen.recovery,
        candidates=tuple(_account(made[place], file, place == choice.model) for file, place in files.items()),
        dropped=tuple(_dropped(made[place], reason) for place, reason in choice.dropped.items()),
        outputs=outputs.files,
        missing_outputs=outputs.missing,
        controls=controls,
        latency_table=decided.latency_table,
        stages=tuple(progress.stages),
        environment=describe(subject.recipe.deploy),
        warnings=(
            *_warnings(subject, chosen.fidelity, clock),
            *_coarse(subject, decided),
            *decided.notes,
            *_lacking(outputs),
        ),
        sha256=_sha256(delivered),
    )
    return Delivery(delivered, report, {file: made[place].model for file, place in files.items()}, outputs.models)


def _account(one: Candidate, file: str, is_model: bool) -> CandidateReport:
    return CandidateReport(
        file=file,
        is_model=is_model,
        units=tuple(unit.name for unit in one.plan.units),
        narrowed=tuple(step.name for step in one.plan.narrowings),
        latency=one.latency,
        predicted_latency_ratio=one.plan.predicted_latency_ratio,
        cost=one.cost,
        fidelity=one.fidelity,
        recovery=one.recovery,
        sha256=_sha256(one.model),
    )


def _dropped(one: Candidate, reason: str) -> DroppedCandidate:
    return DroppedCandidate(
        units=tuple(unit.name for unit in one.plan.units),
        narrowed=tuple(step.name for step in one.plan.narrowings),
        latency_ratio=one.latency.ratio,
        error=one.recovery.error_final,
        reason=reason,
    )


def _coarse(subject: Subject, decided: Decided) -> tuple[str, ...]:
    """Say what a short budget left out."""
    if not subject.allowance.is_short:
        return ()
    made = ["images were made for half as long"] if subject.data.made_images else []
    groups = ["one group of channels stood for others like it"] if decided.all_groups else []
    timed = decided.all_groups and subject.recipe.latency_table is None
    groups += ["groups had times by their part of the work"] if timed else []
    left_out = [*made, "cuts were compared by their repair alone", *groups, "no set of cuts was priced as a whole"]
    return (
        f"A budget of {subject.recipe.budget_seconds:g} s is short for a network of this size: {', '.join(left_out)}, "
        "and only the layers at cuts were repaired. "
        f"From {math.ceil(subject.allowance.short_seconds)} s on none of that is left out.",
    )


def _lacking(outputs: Outputs) -> tuple[str, ...]:
    return tuple(f"There is no {one.kind} file. {one.reason}" for one in outputs.missing)


def _sha256(model: Model) -> str:
    return hashlib.sha256(model.to_bytes()).hexdigest()


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
    if subject.data.made_images:
        real = subject.data.repair_images + subject.data.selection_images - subject.data.made_images
        beside = f"stood beside {real} real ones" if real else "stood in place of real ones"
        found.append(f"{subject.data.made_images} made images {beside} in the repair; more real ones repair it better.")
    if clock.overrun() > 0.05 * clock.budget_seconds:
        found.append(f"The job took {clock.overrun():.0f} s more than its budget of {clock.budget_seconds:g} s.")
    return tuple(found)
