"""A front: plans from the smallest useful saving to the largest, each with the one before inside where it can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from engine.planning.ledger import Ledger
from engine.planning.plans import MeasureCuts, Plan, harm_of
from engine.search import Candidate, Interplay, Priced, choose, most, refine

USEFUL_SAVING = 0.03
"""The least saving that a front begins with: less could hardly be told from none."""
USEFUL_HARM = 0.5
"""The most harm that it ends with: half of what the features say is lost before any training."""
LEFT_NOTHING = 1.0
"""Where it would be too short it goes on to here: before any training as much is lost as if all features were zero."""
TOLD_APART = 0.005
"""Plans whose savings differ by less could not be told apart when they are measured."""
STEPS_TO_THE_END = 3
CALLS_A_PLAN = 3
NESTED_IS_WORTH = 1.1
"""A plan that holds the one before may harm so much more: what that one was taught is kept."""
FINE = 64

Names = tuple[str, ...]


def plan_front(ledger: Ledger, priced: Priced, measured_saving: MeasureCuts | None, count: int) -> list[Plan]:
    """Return about `count` plans, the least cut first, evenly spaced in what they save and none worse than another.

    Each holds the units of the one before unless another plan of that saving harms clearly less. Where that makes too
    few: 1. more units go, as long as anything is left; 2. other sets stand between; 3. so do half steps, which are
    expected to be worse than their neighbours until they have been trained. Where `measured_saving` is given, the
    middle plan is measured, and what that tells corrects the figures of all.
    """
    candidates = ledger.candidates()
    chosen = _useful(ledger, priced, _row(ledger, candidates, priced, count))
    chosen = _useful(ledger, priced, _deeper(ledger, candidates, priced, chosen, count))
    chosen = _with_others(ledger, candidates, priced, chosen, count)
    right = _correction(ledger, chosen, measured_saving)
    chosen += _half_steps(candidates, chosen, count - len(chosen))
    plans = [
        Plan(ledger.named(names), 1 - right * ledger.share_of(names), harm_of(ledger, priced, names))
        for names in chosen
    ]
    return sorted(plans, key=lambda plan: -plan.predicted_latency_ratio)


def _useful(ledger: Ledger, priced: Priced, chosen: Sequence[Names]) -> list[Names]:
    """Return the sets beside which no other saves as much with as little harm, the least cut first."""
    found = sorted((-ledger.saving_of(names), harm_of(ledger, priced, names), names) for names in chosen)
    kept: list[tuple[float, float, Names]] = []
    for saved, harm, names in found:  # from the largest saving on: whoever comes later must harm less
        if not kept or harm < kept[-1][1]:
            kept.append((saved, harm, names))
    return [names for _, _, names in reversed(kept)]


def _row(ledger: Ledger, candidates: Sequence[Candidate], priced: Priced, count: int) -> list[Names]:
    """Return different plans at even distances, up to the largest saving that leaves something worth having."""
    furthest = _furthest(ledger, candidates, priced)
    chosen: list[Names] = []
    for needed in np.linspace(min(_least_useful(candidates), furthest), furthest, count):
        names = _next(candidates, float(needed), priced, chosen[-1] if chosen else ())
        if names not in chosen:
            chosen.append(names)
    return chosen


def _furthest(ledger: Ledger, candidates: Sequence[Candidate], priced: Priced) -> float:
    """Return the largest saving that leaves something worth having, found by halving what may be too much."""
    useful, too_much = 0.0, ledger.saving_of(most(candidates))
    wanted = too_much
    for _ in range(STEPS_TO_THE_END + 1):
        if _asked(ledger, priced, choose(candidates, wanted) or ()) <= USEFUL_HARM:
            useful = wanted
        else:
            too_much = wanted
        if useful == too_much:
            break
        wanted = (useful + too_much) / 2
    return useful or wanted


def _asked(ledger: Ledger, priced: Priced, names: Sequence[str]) -> float:
    """Return the price of a set, or where none is left what those so far lead to expect."""
    priced.ask(frozenset(names))
    return harm_of(ledger, priced, names)


def _deeper(
    ledger: Ledger, candidates: Sequence[Candidate], priced: Priced, chosen: Sequence[Names], count: int
) -> list[Names]:
    """Return the plans with more behind them, each with the least harmful step after the one before.

    Where that step takes several cuts and leaves nothing, one cut alone may still leave something.
    """
    plans = list(chosen)
    while len(plans) < count:
        before = plans[-1] if plans else ()
        step = _grow(candidates, ledger.saving_of(before) + USEFUL_SAVING, priced, before)
        steps = (names for names in (step, _grow_by_one(candidates, priced, before)) if set(names) != set(before))
        names = next((names for names in steps if _asked(ledger, priced, names) <= LEFT_NOTHING), None)
        if names is None:
            break
        plans.append(names)
    return plans


def _with_others(
    ledger: Ledger, candidates: Sequence[Candidate], priced: Priced, chosen: Sequence[Names], count: int
) -> list[Names]:
    """Return the plans with others between them, nested or not: of a finer row, those furthest from all first."""
    plans = list(chosen)
    if len(plans) >= count:
        return plans
    judged, end = _judged(candidates, priced, ()), max(map(ledger.saving_of, plans), default=0.0)
    finer = [tuple(choose(judged, needed) or ()) for needed in np.linspace(_least_useful(candidates), end, FINE)]
    untried = set(finer) - set(plans)

    def distance(names: Names) -> float:
        return min(abs(ledger.saving_of(names) - ledger.saving_of(other)) for other in plans)

    while untried and len(plans) < count:
        names = max(sorted(untried), key=distance)
        if distance(names) < TOLD_APART:
            break
        untried.remove(names)
        priced.ask(frozenset(names))
        plans = _useful(ledger, priced, [*plans, names])
    return plans


def _least_useful(candidates: Sequence[Candidate]) -> float:
    useful = [candidate.saving for candidate in candidates if candidate.saving > 0]
    return max(min(useful, default=0.0), USEFUL_SAVING)


def _next(candidates: Sequence[Candidate], needed: float, priced: Priced, before: Names) -> Names:
    """Return the plan for one saving: the one before and more, or another where that is clearly better."""
    grown = _grow(candidates, needed, priced, before)
    harm = priced.ask(frozenset(grown))
    wanted = min(priced.usual.calls, CALLS_A_PLAN - 1)
    other = _other(candidates, needed, priced, wanted)
    if harm is None or other is None or harm <= NESTED_IS_WORTH * priced.known[other]:
        return grown
    return _in_order(candidates, other)


def _grow(candidates: Sequence[Candidate], needed: float, priced: Priced, before: Names) -> Names:
    """Return the units there are and those that add the least harm beside them."""
    saved = sum(candidate.saving for candidate in candidates if candidate.name in before)
    free = _free(candidates, priced, before)
    more = choose(free, needed - saved)
    return _in_order(candidates, {*before, *(most(free) if more is None else more)})


def _grow_by_one(candidates: Sequence[Candidate], priced: Priced, before: Names) -> Names:
    """Return the units there are and the one that adds the least harm beside them for what it saves."""
    free = [one for one in _free(candidates, priced, before) if one.saving > 0]
    least = min(free, key=lambda one: (one.harm / one.saving, -one.saving), default=None)
    return before if least is None else _in_order(candidates, {*before, least.name})


def _free(candidates: Sequence[Candidate], priced: Priced, before: Names) -> list[Candidate]:
    """Return what may still go, with the harm that each is expected to add."""
    return [one for one in _judged(candidates, priced, before) if not _clashes(one, candidates, before)]


def _in_order(candidates: Sequence[Candidate], names: Collection[str]) -> Names:
    return tuple(candidate.name for candidate in candidates if candidate.name in names)


def _judged(candidates: Sequence[Candidate], priced: Priced, before: Names) -> list[Candidate]:
    """Return the candidates with the harm that each is expected to add to the loss of those before."""
    interplay = Interplay(candidates, priced)
    beside = np.maximum(interplay.marginal(interplay.taken(before)), 0.0)
    return [dataclasses.replace(one, harm=float(harm)) for one, harm in zip(candidates, beside, strict=True)]


def _clashes(candidate: Candidate, candidates: Sequence[Candidate], names: Names) -> bool:
    """Say whether a candidate is among these, inside one of them or around one."""
    around = {outer for other in candidates if other.name in names for outer in other.inside}
    return candidate.name in names or candidate.name in around or not set(candidate.inside).isdisjoint(names)


def _other(candidates: Sequence[Candidate], needed: float, priced: Priced, calls: int) -> frozenset[str] | None:
    """Return the best plan of this saving that a few prices find, holding what it may."""
    held_back, priced.usual.calls = priced.usual.calls - calls, calls
    found = refine(candidates, needed, priced)
    priced.usual.calls += held_back
    return frozenset(found) if found and frozenset(found) in priced.known else None


def _correction(ledger: Ledger, chosen: Sequence[Names], measured_saving: MeasureCuts | None) -> float:
    """Return how far the table of shares is right, by a measurement of the middle plan."""
    if measured_saving is None or not chosen:
        return 1.0
    middle = chosen[len(chosen) // 2]
    return measured_saving(ledger.named(middle)) / max(ledger.share_of(middle), 1e-9)


def _half_steps(candidates: Sequence[Candidate], chosen: Sequence[Names], count: int) -> list[Names]:
    """Return up to `count` plans that go half the way to the next: of a block that it takes, a part goes.

    Prices are taken before any training, and speak against half steps; what half a block is worth after it, only the
    measurement at the end can tell. The deepest come first: there the next whole step costs most.
    """
    halves: list[Names] = []
    for before, after in reversed(list(pairwise([(), *chosen]))):
        taken = set(after) - set(before)
        parts = [one for one in candidates if one.saving > 0 and taken & set(one.inside) and one.name not in after]
        parts = [one for one in parts if not set(one.inside) & set(before)]
        if len(halves) < count and set(before) <= set(after) and parts:
            halves.append((*before, min(parts, key=lambda one: one.harm).name))
    return halves
