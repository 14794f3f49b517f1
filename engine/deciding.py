"""What goes: units and channels found, priced in accuracy and in time, and chosen for the target."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.allowance import MACS_A_SECOND
from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.errors import RecipeInvalid
from engine.graph.channels.groups import Group, find_groups
from engine.graph.channels.readings import grain, likeness, nodes_around
from engine.graph.cuts import Narrowing
from engine.graph.heads import NO_HEADS, Found, Rotation, find_heads, rotated
from engine.graph.model import Model
from engine.graph.units import Unit, blocks, find_units
from engine.measure.cost import count
from engine.methods import METHODS
from engine.planning import (
    Ledger,
    Plan,
    is_easy,
    narrowable,
    normed,
    open_ledger,
    reasons_to_stay,
    removable,
    require_known,
    require_some,
    savings_in,
    whole_blocks,
)
from engine.planning.choosing import choose_plans
from engine.planning.rotations import rotations_for
from engine.planning.times import Times
from engine.pricing.narrowing import Ladder, make_ladder, on_grid, on_heads_grid, rank_and_judge
from engine.pricing.study import Study
from engine.progress import Progress, Tell
from engine.recipe import LatencyTable, Recipe, Units
from engine.recovery.reference import Reference
from engine.subject import Subject

DECIDING_SHARE = 0.4
"""The part of the time left after loading within which everything is timed and priced; the rest is for recovery."""

JUDGES_MACS_MAX = 5e12
"""Work that judging all units may cost, about a minute on two cores; it bounds how many images judge."""
JUDGES_MIN, JUDGES_MAX = 8, 100
SHORT_JUDGES_MIN = 4


@dataclass(frozen=True)
class Decided:
    """What was found and what was chosen of it: one plan for a target, several for a front, the least cut first.

    `all_groups` are those of a method that narrows, `staying` says why some of them may not; `unruled` are the nodes
    whose operator no rule of channels knows. `rotations` are those of the heads that a plan narrows: they are to be
    rotated before they are cut.
    """

    all_units: Sequence[Unit]
    all_groups: Sequence[Group]
    staying: Mapping[str, str]
    unruled: tuple[str, ...]
    ledger: Ledger
    plans: tuple[Plan, ...]
    rotations: tuple[Rotation, ...]
    latency_table: LatencyTable
    notes: tuple[str, ...]


def decide(subject: Subject, reference: Reference, progress: Progress, clock: Clock, checkpoint: Checkpoint) -> Decided:
    """Return the plan or plans. Raises NothingToCut, RecipeInvalid, TargetInfeasible.

    Harm, times and plans are taken from the checkpoint where a first attempt left them: half-trained weights fit no
    other plan, and times measured anew would be other times.
    """
    deciding = clock.within(DECIDING_SHARE)
    with progress.stage("measure"):
        found, groups = find_units(subject.model), find_groups(subject.model)
        times = Times(subject, _names(found, groups.groups), deciding, checkpoint)
        heads = find_heads(subject.model, groups.groups) if subject.recipe.method.rotates_heads else NO_HEADS
    with progress.stage("units"):
        units, ladders = _possible(subject, found, groups.groups, heads, times)
    rotations = functools.cache(lambda: _rotations(subject, ladders, heads, checkpoint))
    study = functools.cache(lambda: _study(subject, units, ladders, reference, rotations()))
    with progress.stage("score") as tell:
        harm, steps = _weighed(subject.recipe.method.name, study, ladders, tell, checkpoint)
    with progress.stage("search") as tell:
        ledger = open_ledger(
            subject.model,
            (*units, *steps),
            harm,
            times.shares(units) | times.width_shares(ladders),
            subject.recipe.target,
            original_ms=times.original_ms,
            image_shapes=subject.image_shapes,
            plain_ratio=times.plain_ratio,
        )
        plans = choose_plans(ledger, groups.groups, subject, study, times, deciding, tell, checkpoint)
    told = [unit for unit in found if unit in units or unit in blocks(found) or unit.name in subject.recipe.method.keep]
    looked_at = groups.groups if ladders else ()
    staying = reasons_to_stay(subject.model, looked_at, subject.recipe.method.keep, heads)
    how = METHODS[subject.recipe.method.name]
    notes = (*times.notes(), *(() if how.notes is None else how.notes(study())))
    narrowed = {step.group for plan in plans for step in plan.narrowings}
    taken = tuple(rotations()[name] for name in heads.heads if name in narrowed)
    return Decided(told, looked_at, staying, groups.unknown, ledger, plans, taken, times.table(), notes)


def _possible(
    subject: Subject, found: Sequence[Unit], groups: Sequence[Group], heads: Found, times: Times
) -> tuple[list[Unit], list[Ladder]]:
    """Return what the recipe's method may take: units worth a look, and the widths of groups. Raises NothingToCut."""
    method = subject.recipe.method
    require_known(method.keep, _names(found, groups))
    groups = normed(subject.plain, groups) if method.needs_norms else groups
    cuts = _allowed(subject.recipe)
    free = removable(found, method.keep) if "units" in cuts else []
    narrow = narrowable(subject.model, groups, method.keep, heads) if "channels" in cuts else []
    ladders = _ladders(subject.model, narrow, heads, times) if narrow else []
    require_some(cuts, free, [ladder.group for ladder in ladders], method.keep)
    units = _worth_a_look(subject, free, times)
    return units, ladders


def _allowed(recipe: Recipe) -> frozenset[str]:
    """Return what may go at all: where so many units are asked for, no channels, for they are no unit."""
    if not isinstance(recipe.target, Units):
        return recipe.method.cuts
    if "units" not in recipe.method.cuts:
        raise RecipeInvalid(
            f"The target asks for whole units to go, and method {recipe.method.name} takes channels alone. Ask for a "
            'latency_ratio, or for method "auto" or "practise".',
            where="target.units",
        )
    return recipe.method.cuts - {"channels"}


def _names(units: Sequence[Unit], groups: Sequence[Group]) -> list[str]:
    return [*(unit.name for unit in units), *(group.name for group in groups)]


def _ladders(model: Model, groups: Sequence[Group], heads: Found, times: Times) -> list[Ladder]:
    multiple = times.width_multiple()

    def multiple_of(group: Group) -> int:
        return on_heads_grid(multiple) if group.name in heads.heads else on_grid(multiple, grain(model, group))

    made = [
        make_ladder(group, likeness(model, group), nodes_around(model, group), multiple_of(group)) for group in groups
    ]
    return [ladder for ladder in made if ladder is not None]


def _rotations(
    subject: Subject, ladders: Sequence[Ladder], heads: Found, checkpoint: Checkpoint
) -> dict[str, Rotation]:
    """Return the rotations of all heads that have a narrower width, by the name of their group."""
    asked = [heads.heads[ladder.group.name] for ladder in ladders if ladder.group.name in heads.heads]
    return rotations_for(subject, asked, checkpoint) if asked else {}


def _weighed(
    method: str, study: Callable[[], Study], ladders: Sequence[Ladder], tell: Tell, checkpoint: Checkpoint
) -> tuple[dict[str, float], list[Narrowing]]:
    """Return the harm of every cut by name, and the narrowings with the channels that the method lets go."""
    kept = checkpoint.read_json("harm")
    if kept is None:
        how, units = METHODS[method], study().units
        harm = how.harm(study(), tell) if how.harm is not None and units else {}
        steps: list[Narrowing] = []
        if how.ranking is not None and ladders:
            steps, of_steps = rank_and_judge(study(), ladders, how.ranking(study()), tell)
            harm |= of_steps
        kept = {"harm": harm, "channels": {step.name: step.channels for step in steps}}
        checkpoint.write_json("harm", kept)
    by_name = {step.name: step for ladder in ladders for step in ladder.steps}
    chosen = [
        dataclasses.replace(by_name[name], channels=tuple(channels)) for name, channels in kept["channels"].items()
    ]
    return kept["harm"], chosen


def _worth_a_look(subject: Subject, free: Sequence[Unit], times: Times) -> list[Unit]:
    """Return the units to choose from: whole blocks where they reach the target with ease, else all there are.

    A network with skips loses whole blocks more easily than single layers, and fewer units are judged sooner; runs and
    activations, inside of blocks too, are looked at where there are no blocks or they are hardly enough.
    """
    whole = whole_blocks(free)
    if whole:
        target = subject.recipe.target
        savings = savings_in(target, subject.model, whole, times.shares(whole), subject.image_shapes)
        if is_easy(target, savings, times.original_ms) or "channels" in subject.recipe.method.cuts:
            return whole
    return list(free)


def _study(
    subject: Subject,
    units: Sequence[Unit],
    ladders: Sequence[Ladder],
    reference: Reference,
    rotations: Mapping[str, Rotation],
) -> Study:
    """Let each unit and each group be judged on as many held-out images as are worth their time."""
    is_short = subject.allowance.is_short
    kinds = {ladder.kind for ladder in ladders}
    trials = len(units) + len(kinds) if is_short else 2 * (len(units) + len(ladders))  # each with and without repair
    one_pass = trials * max(count(subject.model, subject.image_shapes).macs, 1)
    work = min(JUDGES_MACS_MAX, MACS_A_SECOND * subject.allowance.seconds)
    judges_min = SHORT_JUDGES_MIN if is_short else JUDGES_MIN
    judges = int(min(JUDGES_MAX, max(judges_min, work // one_pass)))
    evenly = np.linspace(0, len(reference.images) - 1, min(judges, len(reference.images))).astype(int)
    model = rotated(subject.model, rotations.values()) if rotations else subject.model
    return Study(
        model=model,
        units=tuple(units),
        repair=subject.split.repair,
        reference=Reference(model, subject.features, reference.images.take(evenly), subject.compute),
        compute=subject.compute,
        seed=subject.recipe.seed,
        subject=subject,
        rotations=rotations,
        allowance=subject.allowance,
        judges=judges,
    )
