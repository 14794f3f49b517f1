"""What goes: units found, priced in accuracy and in time, and chosen for the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.graph.channels.groups import find_groups
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, blocks, find_units
from engine.measure.cost import count
from engine.measure.latency import compare_latency, time_models
from engine.measure.unit_table import latency_shares
from engine.methods import METHODS
from engine.methods.study import Study
from engine.planning import Ledger, Plan, open_ledger, plan_cuts, removable
from engine.progress import Progress, Tell
from engine.recipe import LatencyMs, LatencyRatio
from engine.recovery.reference import Reference
from engine.report import Interval, LatencyComparison
from engine.subject import Subject

JUDGES_MACS_MAX = 5e12
"""Work that judging all units may cost, about a minute on two cores; it bounds how many images judge."""
JUDGES_MIN, JUDGES_MAX = 8, 100


@dataclass(frozen=True)
class Decided:
    """What was found and what was chosen of it. `unruled` are the nodes whose operator no rule of channels knows."""

    all_units: Sequence[Unit]
    unruled: tuple[str, ...]
    ledger: Ledger
    plan: Plan


def decide(subject: Subject, reference: Reference, progress: Progress, clock: Clock, checkpoint: Checkpoint) -> Decided:
    """Return the plan. Raises NothingToCut, RecipeInvalid, TargetInfeasible.

    Harm, times and plan are taken from the checkpoint where a first attempt left them: half-trained weights fit no
    other plan, and times measured anew would be other times.
    """
    with progress.stage("measure"):
        original_ms = float((checkpoint.read_json("original") or {}).get("ms") or _time_original(subject, clock))
        checkpoint.write_json("original", {"ms": original_ms})
    with progress.stage("units"):
        all_units = blocks(find_units(subject.model))
        units = removable(all_units, subject.recipe.method.keep)
        unruled = find_groups(subject.model).unknown
    with progress.stage("score") as tell:
        harm = checkpoint.read_json("harm") or _score(subject, units, reference, tell)
        checkpoint.write_json("harm", harm)
    with progress.stage("search") as tell:
        shares = _shares(subject, units, clock, checkpoint)
        ledger = open_ledger(
            subject.model,
            units,
            harm,
            shares,
            subject.recipe.target,
            original_ms=original_ms,
            image_shapes=subject.image_shapes,
        )
        return Decided(all_units, unruled, ledger, _plan(ledger, subject, clock, tell, checkpoint))


def measure_against_upload(subject: Subject, cut: Model, *, seconds: float, until_width: float) -> LatencyComparison:
    """Time a cut network in turn with the upload, where it will be deployed."""
    return compare_latency(
        subject.upload,
        cut,
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=seconds,
        until_width=until_width,
    )


def _time_original(subject: Subject, clock: Clock) -> float:
    """Return the upload's median time for one batch in milliseconds."""
    samples = time_models(
        {"": subject.upload},
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=clock.part(0.02, 5),
    )
    return float(np.median(samples[""]))


def _score(subject: Subject, units: Sequence[Unit], reference: Reference, tell: Tell) -> dict[str, float]:
    """Let the method judge each unit, on as many held-out images as are worth their time."""
    one_pass = len(units) * max(count(subject.model, subject.image_shapes).macs, 1)
    judges = int(min(JUDGES_MAX, max(JUDGES_MIN, JUDGES_MACS_MAX // one_pass), len(reference.images)))
    evenly = np.linspace(0, len(reference.images) - 1, judges).astype(int)
    study = Study(
        model=subject.model,
        units=tuple(units),
        repair=subject.split.repair,
        reference=Reference(subject.model, subject.features, reference.images.take(evenly), subject.compute),
        compute=subject.compute,
        seed=subject.recipe.seed,
    )
    return METHODS[subject.recipe.method.name](study, tell)


def _shares(subject: Subject, units: Sequence[Unit], clock: Clock, checkpoint: Checkpoint) -> dict[str, Interval]:
    kept = checkpoint.read_json("shares")
    if kept is not None:
        return {name: Interval.model_validate(share) for name, share in kept.items()}
    shares = latency_shares(
        subject.model,
        units,
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=clock.part(0.08, 40),
    )
    checkpoint.write_json("shares", {name: share.model_dump() for name, share in shares.items()})
    return shares


def _plan(ledger: Ledger, subject: Subject, clock: Clock, tell: Tell, checkpoint: Checkpoint) -> Plan:
    kept = checkpoint.read_json("plan")
    if kept is not None:
        by_name = {unit.name: unit for unit in ledger.units}
        return Plan(tuple(by_name[name] for name in kept["units"]), kept["predicted_latency_ratio"])
    plan = plan_cuts(ledger, _measurer(subject, clock), tell)
    names = [unit.name for unit in plan.units]
    checkpoint.write_json("plan", {"units": names, "predicted_latency_ratio": plan.predicted_latency_ratio})
    return plan


def _measurer(subject: Subject, clock: Clock) -> Callable[[Sequence[Unit]], float] | None:
    """Return what tells how much of the latency a plan saves, or None where the target is not a time."""
    if not isinstance(subject.recipe.target, LatencyRatio | LatencyMs):
        return None

    def measured_saving(units: Sequence[Unit]) -> float:
        cut = merge(remove_units(subject.model, units))
        found = measure_against_upload(subject, cut, seconds=clock.part(0.03, 10), until_width=0.008)
        return 1 - found.ratio.value

    return measured_saving
