"""Narrowing groups: which of their channels go at each width of the grid, and the harm of that after repair."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.graph.channels.groups import Group
from engine.graph.cuts import Narrowing, remove
from engine.graph.heads import Rotation
from engine.pricing.judging import Trial, judge
from engine.pricing.method import Rank
from engine.pricing.study import Study
from engine.pricing.sums import GroupStudy, Sum, refit, study_groups
from engine.progress import Tell
from engine.recovery.closed_form import images_for
from engine.recovery.effort import SCORING_WORK_MAX

GONE = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4)
"""The parts of a group that may go, each rounded so that what stays is a multiple of the grid."""
RIDGE = 1e-3
TELLING = 1e-4
"""The least part of readers' sums, or of what rotated heads make, that is lost at a width whose harm others follow.

Of less harm rounding is all that would be seen, and what loses more would be thought to be as harmless.
"""
HEADS_MULTIPLE = 8
"""Of a small ViT's attention on a processor with AVX-512, heads of 64 numbers: each step of 8 takes its part of the
time, 0.85 to 0.9 of what its numbers are of the whole, also the odd steps of the 16 that convolutions are made for."""


@dataclass(frozen=True)
class Ladder:
    """The widths that one group may be narrowed to: narrowings, the widest first; `kind` names those like it."""

    group: Group
    kind: str
    steps: tuple[Narrowing, ...]


def on_heads_grid(multiple: int) -> int:
    """Return what the numbers inside a head are multiples of: matrices of two layers' making need no wider blocks."""
    return min(multiple, HEADS_MULTIPLE)


def on_grid(multiple: int, grain: int) -> int:
    """Return what numbers of channels are multiples of, so that columns are on the grid: of 16, heads of 8 in pairs."""
    return multiple // math.gcd(multiple, grain)


def make_ladder(group: Group, kind: str, nodes: frozenset[str], multiple: int) -> Ladder | None:
    """Return the group's widths on a grid of this multiple, or None where there is none below its own.

    Its last channels stand for those that will go, until a method has ranked them.
    """
    widths = {max(multiple, round(group.size * (1 - part) / multiple) * multiple) for part in GONE}
    kept = sorted((width for width in widths if width < group.size), reverse=True)
    steps = tuple(
        Narrowing(
            f"{group.name}: {width} of {group.size}", group.name, group.size, tuple(range(width, group.size)), nodes
        )
        for width in kept
    )
    return Ladder(group, kind, steps) if steps else None


@dataclass(frozen=True)
class _Ranked:
    """The widths of one group with the channels that go, and the part of their sums that readers lose at each.

    `place` is of the width that is judged through the whole network, if this group is.
    """

    steps: tuple[Narrowing, ...]
    lost: tuple[float, ...]
    place: int


def rank_and_judge(
    study: Study, ladders: Sequence[Ladder], rank: Rank, tell: Tell
) -> tuple[list[Narrowing], dict[str, float]]:
    """Return the narrowings with the channels that go, and the harm of each by name.

    One width of each group is judged through the whole network, its readers refitted; the others follow from it by
    what the readers themselves lose of their sums on held-out images. Of rotated heads the last numbers go, whoever
    ranks, and the others follow by what the products lose of theirs; the width that is judged is one that loses enough
    to tell. In a short time one group of each kind is judged, and the others like it follow from that one, if its
    readers lose enough to tell.
    """
    by_group = {ladder.group.name: ladder for ladder in ladders}
    found: dict[str, _Ranked] = {}
    judged_by: dict[str, str] = {}
    tells: dict[str, str] = {}  # kind -> the group that the others like it follow from
    trials: list[Trial] = []
    for of_group in _studies(study, ladders, tell):
        name = of_group.group.name
        found[name] = _rank(of_group, by_group[name], study.rotations.get(name), rank)
        judged_by[name] = tells.get(by_group[name].kind, name)
        if judged_by[name] == name:
            trials += _trials(study, of_group, found[name].steps[found[name].place])
        if study.allowance.is_short and found[name].lost[found[name].place] >= TELLING:
            tells.setdefault(by_group[name].kind, name)
    anchors = judge(study, trials, lambda part, message: tell(0.5 + 0.5 * part, message))
    in_order = [ladder.group.name for ladder in ladders if ladder.group.name in found]
    harm = {
        step: weight
        for name in in_order
        for step, weight in _harm(found[name], found[judged_by[name]], anchors[judged_by[name]])
    }
    return [step for name in in_order for step in found[name].steps], harm


def _studies(study: Study, ladders: Sequence[Ladder], tell: Tell) -> Iterator[GroupStudy]:
    groups = [ladder.group for ladder in ladders]
    products = frozenset(node for rotation in study.rotations.values() for node in rotation.heads.products)
    studies = study_groups(
        study.model,
        groups,
        images_for(study.repair, study.reference.images),
        study.compute,
        study.seed,
        products,
        study.allowance.part * SCORING_WORK_MAX,
    )
    for done, of_group in enumerate(studies):
        tell(0.5 * done / len(groups), f"group {done + 1} of {len(groups)}")
        yield of_group


def _rank(of_group: GroupStudy, ladder: Ladder, rotation: Rotation | None, rank: Rank) -> _Ranked:
    if rotation is None:
        steps = ranked(ladder.steps, rank(of_group))
        return _Ranked(steps, tuple(local_error(of_group.sums, step.channels) for step in steps), _middle(steps))
    steps = ladder.steps
    lost = tuple(float(rotation.shares[list(step.channels)].sum()) for step in steps)
    telling = (place for place in range(_middle(steps), len(steps)) if lost[place] >= TELLING)
    return _Ranked(steps, lost, next(telling, len(steps) - 1))


def ranked(steps: Sequence[Narrowing], order: Sequence[int]) -> tuple[Narrowing, ...]:
    """Return the same widths with the channels that go first in the order, each step's among those of the next."""
    return tuple(
        Narrowing(step.name, step.group, step.size, tuple(sorted(order[: len(step.channels)])), step.nodes)
        for step in steps
    )


def local_error(sums: Sequence[Sum], channels: Collection[int]) -> float:
    """Return the part of the readers' sums that is lost without these channels, the others standing in for them.

    |G (I - B)|² weighed by what the outputs ask, with the channel map B = G_:S (G_SS + ridge)^-1, summed over readers.
    """
    return sum(_lost(one, channels) for one in sums) / len(sums)


def _lost(one: Sum, channels: Collection[int]) -> float:
    size = len(one.rows)
    stay, gone = np.setdiff1d(np.arange(size), list(channels)), np.array(sorted(channels))
    own = one.gram[np.ix_(stay, stay)]
    ridge = RIDGE * float(np.trace(one.gram)) / size + 1e-30
    shift = np.linalg.solve(own + ridge * np.eye(len(stay)), one.gram[np.ix_(stay, gone)])
    held = one.held_out
    across = held[np.ix_(gone, stay)] @ shift
    missed = held[np.ix_(gone, gone)] - across - across.T + shift.T @ held[np.ix_(stay, stay)] @ shift
    whole = float((one.held_out * one.demand).sum())
    return max(float((missed * one.demand[np.ix_(gone, gone)]).sum()), 0.0) / max(whole, 1e-30)


def _trials(study: Study, of_group: GroupStudy, step: Narrowing) -> Iterator[Trial]:
    """Yield the network with one group narrowed, as it is left and with its readers refitted, if they have weights.

    In a short time as it is left only where nothing can be refitted.
    """
    plain = remove(study.model, [step])
    if not of_group.sums or not study.allowance.is_short:
        yield Trial(step.group, plain)
    if of_group.sums:
        repaired = plain.copy()
        for one in of_group.sums:
            refit(study.model, repaired, one, step.group, step.channels)
        yield Trial(step.group, repaired)


def _middle(steps: Sequence[Narrowing]) -> int:
    return (len(steps) - 1) // 2


def _harm(group: _Ranked, judged: _Ranked, anchor: float) -> Iterator[tuple[str, float]]:
    """Yield each narrowing's name and its harm, which never falls as a group gets narrower.

    `anchor` is the harm of the width of `judged`, the same group or one of its kind, that was looked at.
    """
    at, channels = judged.lost[judged.place], judged.steps[judged.place].channels
    highest = 0.0
    for step, lost in zip(group.steps, group.lost, strict=True):
        scale = lost / at if at > 0 else len(step.channels) / len(channels)
        highest = max(highest, anchor * scale)
        yield step.name, highest
