"""From a plan to a network that could be delivered: cut, recover, merge, verify, measure. A front makes several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import onnx
import onnx_ir as ir

from engine.checkpoint import Checkpoint
from engine.graph.cuts import Cut, contains
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.measure.cost import cost
from engine.measure.fidelity import compare_fidelity
from engine.measure.latency import DOUBT_SECONDS_MAX
from engine.planning import Plan
from engine.planning.times import measure_against_upload
from engine.progress import CandidateStages, Progress, Tell, candidate
from engine.recovery.closed_form import cut_and_repair
from engine.report import Cost, Fidelity, LatencyComparison, Recovery
from engine.subject import Subject
from engine.teaching import Effort, Workbench, teach
from engine.verify import verify

FRONT_WORK = 1.5
"""All candidates of a front together train and are timed for this many times what a single job would be."""

DOUBT_SHARE = 0.2
"""The part of the budget that it may be overrun by where it is still open whether a network is faster at all."""


class Stages(Protocol):
    """Where the work is told of: the whole job's progress, or the part of it that one candidate is."""

    def stage(self, name: str) -> AbstractContextManager[Tell]: ...


@dataclass(frozen=True)
class Candidate:
    """One plan carried out: `model` could be delivered, and the figures are measured on it.

    `trained` is the same before neighbours were merged: its weights bear their old names, so another can go on there.
    """

    plan: Plan
    trained: Model
    model: Model
    recovery: Recovery
    latency: LatencyComparison
    cost: Cost
    fidelity: Fidelity | None


def make_candidates(
    bench: Workbench, plans: Sequence[Plan], progress: Progress, checkpoint: Checkpoint
) -> list[Candidate]:
    """Carry out the plans in their order; each of several goes on from the last one before it that lacks no more."""
    if len(plans) == 1:
        return [_make(bench, plans[0], None, Effort(), progress, checkpoint.of("1"))]
    progress.expect_candidates(len(plans))
    made: list[Candidate] = []
    for number, plan in enumerate(plans, start=1):
        effort = Effort(FRONT_WORK / len(plans), len(plans) - number + 1)
        with progress.stage(candidate(number)) as tell:
            made.append(
                _make(bench, plan, _begun(plan, made), effort, CandidateStages(tell), checkpoint.of(str(number)))
            )
    return made


def _begun(plan: Plan, made: Sequence[Candidate]) -> Candidate | None:
    """Return the last candidate whose cuts, or what they lie inside, all go here, too: it has learnt half of this.

    One whose groups are narrowed otherwise has weights of other shapes, and is not gone on from.
    """

    def goes(cut: Cut) -> bool:
        return any(cut == other or contains(other, cut) for other in plan.cuts)

    def is_part(before: Candidate) -> bool:
        return set(before.plan.narrowings) == set(plan.narrowings) and all(map(goes, before.plan.cuts))

    return next((before for before in reversed(made) if is_part(before)), None)


def _make(
    bench: Workbench, plan: Plan, before: Candidate | None, effort: Effort, stages: Stages, checkpoint: Checkpoint
) -> Candidate:
    """Carry out one plan, unless an earlier attempt has done so."""
    kept = _kept(plan, checkpoint)
    if kept is not None:
        return kept
    subject, left_before = bench.subject, bench.clock.left()
    with stages.stage("cut") as tell:
        trained = _cut(subject, plan, before, tell)
    with stages.stage("recover") as tell:
        recovery = teach(bench, plan, trained, effort, left_before, tell, checkpoint)
    with stages.stage("merge"):
        model = merge(trained)
    with stages.stage("verify"):
        verify(subject, model)
    with stages.stage("report"):
        latency = _latency(bench, model, effort)
        fidelity = _fidelity(subject, model)
    made = Candidate(plan, trained, model, recovery, latency, cost(model, subject.image_shapes), fidelity)
    _keep(made, checkpoint)
    return made


def _kept(plan: Plan, checkpoint: Checkpoint) -> Candidate | None:
    figures, network = checkpoint.read_json("figures"), checkpoint.read_bytes("trained")
    if figures is None or network is None:
        return None
    trained = Model(ir.from_proto(onnx.load_model_from_string(network)))
    return Candidate(
        plan,
        trained,
        merge(trained),
        Recovery.model_validate(figures["recovery"]),
        LatencyComparison.model_validate(figures["latency"]),
        Cost.model_validate(figures["cost"]),
        None if figures["fidelity"] is None else Fidelity.model_validate(figures["fidelity"]),
    )


def _keep(made: Candidate, checkpoint: Checkpoint) -> None:
    figures = {"recovery": made.recovery, "latency": made.latency, "cost": made.cost, "fidelity": made.fidelity}
    checkpoint.write_bytes("trained", made.trained.to_bytes())
    checkpoint.write_json("figures", {name: value and value.model_dump() for name, value in figures.items()})
    checkpoint.forget_tensors("training")


def _cut(subject: Subject, plan: Plan, before: Candidate | None, tell: Tell) -> Model:
    return cut_and_repair(
        subject.model,
        plan.cuts,
        subject.split.repair,
        subject.split.selection,
        subject.compute,
        seed=subject.recipe.seed,
        on_layer=lambda done, total: tell(done / total, f"refitting layer {done + 1} of {total}"),
        start=None if before is None else before.trained,
        gone=() if before is None else before.plan.cuts,
        allowance=subject.allowance,
    )


def _latency(bench: Workbench, model: Model, effort: Effort) -> LatencyComparison:
    """Return what decides whether the network is delivered; that it gains nothing is not said before it is sure."""
    seconds = bench.clock.part(0.08 * effort.work, 30 * effort.work)
    doubt_seconds = min(DOUBT_SHARE * bench.clock.budget_seconds, DOUBT_SECONDS_MAX) * effort.work
    return measure_against_upload(bench.subject, model, seconds=seconds, until_width=0.005, doubt_seconds=doubt_seconds)


def _fidelity(subject: Subject, student: Model) -> Fidelity | None:
    """Return the agreement on real images that neither choice nor repair has seen, None where there are none."""
    test = subject.split.test
    return compare_fidelity(subject.upload, student, test, subject.compute) if len(test) else None
