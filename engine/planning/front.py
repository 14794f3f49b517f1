"""A front: plans from the smallest useful saving to the largest, each with the one before inside where it can be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from engine.planning.ledger import Ledger
from engine.planning.plans import MeasureUnits, Plan, harm_of
from engine.search import Candidate, Interplay, Priced, choose, most, refine

USEFUL_SAVING = 0.03
"""The least saving that a front begins with: less could hardly be told from none."""
USEFUL_HARM = 0.5
"""The most harm that it ends with: half of what the features say is lost before any training."""
STEPS_TO_THE_END = 3
CALLS_A_PLAN = 3
NESTED_IS_WORTH = 1.1
"""A plan that holds the one before may harm so much more: what that one was taught is kept."""

Names = tuple[str, ...]


def plan_front(ledger: Ledger, priced: Priced, measured_saving: MeasureUnits | None, count: int) -> list[Plan]:
    """Return about `count` plans, the least cut first, evenly spaced in what they save and none worse than another.

    Each holds the units of the one before unless another plan of that saving harms clearly less; where that makes too
    few, others fill the widest gaps, and if they are still too few, half steps do, which are expected to be worse than
    their neighbours until they have been trained. Where `measured_saving` is given, the middle plan is measured, and
    what that tells corrects the figures of all.
    """
    candidates = ledger.candidates()
    furthest = _furthest(ledger, candidates, priced)
    chosen: list[Names] = []
    for needed in np.linspace(min(_least_useful(candidates), furthest), furthest, count):
        names = _next(candidates, float(needed), priced, chosen[-1] if chosen else ())
        if names not in chosen:
            chosen.append(names)
    chosen = _fill_gaps(ledger, candidates, priced, chosen, count)
    right = _correction(ledger, chosen, measured_saving)
    plans = _non_dominated([_plan(ledger, priced, names, right) for names in chosen])
    halves = [_plan(ledger, priced, names, right) for names in _half_steps(candidates, plans, count - len(plans))]
    return _in_order([*plans, *halves])


def _furthest(ledger: Ledger, candidates: Sequence[Candidate], priced: Priced) -> float:
    """Return the largest saving that leaves something worth having, found by halving what may be too much."""
    useful, too_much = 0.0, ledger.saving_of(most(candidates))
    wanted = too_much
    for _ in range(STEPS_TO_THE_END + 1):
        names = choose(candidates, wanted) or []
        harm = priced.ask(frozenset(names))
        if harm is None or harm <= USEFUL_HARM:
            useful = wanted
        else:
            too_much = wanted
        if useful == too_much:
            break
        wanted = (useful + too_much) / 2
    return useful or wanted


def _fill_gaps(
    ledger: Ledger, candidates: Sequence[Candidate], priced: Priced, chosen: Sequence[Names], count: int
) -> list[Names]:
    """Return the plans with others between them, nested or not, where units are too few for an even row of plans."""
    plans, closed = list(chosen), set[tuple[float, float]]()
    while len(plans) < count:
        savings = sorted({0.0, *(ledger.saving_of(names) for names in plans)})
        gaps = [gap for gap in pairwise(savings) if gap not in closed]
        if not gaps:
            break
        low, high = max(gaps, key=lambda gap: gap[1] - gap[0])
        names = tuple(choose(_judged(candidates, priced, ()), (low + high) / 2) or ())
        if low < ledger.saving_of(names) < high and ledger.saving_of(names) >= USEFUL_SAVING:
            priced.ask(frozenset(names))
            plans.append(names)
        else:
            closed.add((low, high))
    return plans


def _least_useful(candidates: Sequence[Candidate]) -> float:
    useful = [candidate.saving for candidate in candidates if candidate.saving > 0]
    return max(min(useful, default=0.0), USEFUL_SAVING)


def _next(candidates: Sequence[Candidate], needed: float, priced: Priced, before: Names) -> Names:
    """Return the plan for one saving: the one before and more, or another where that is clearly better."""
    grown = _grow(candidates, needed, priced, before)
    harm = priced.ask(frozenset(grown))
    wanted = min(priced.calls_left, CALLS_A_PLAN - 1)
    other = _other(candidates, needed, priced, wanted)
    if harm is None or other is None or harm <= NESTED_IS_WORTH * priced.known[other]:
        return grown
    return tuple(candidate.name for candidate in candidates if candidate.name in other)


def _grow(candidates: Sequence[Candidate], needed: float, priced: Priced, before: Names) -> Names:
    """Return the units there are and those that add the least harm beside them."""
    saved = sum(candidate.saving for candidate in candidates if candidate.name in before)
    free = [one for one in _judged(candidates, priced, before) if not _clashes(one, candidates, before)]
    more = choose(free, needed - saved)
    names = {*before, *(most(free) if more is None else more)}
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
    held_back, priced.calls_left = priced.calls_left - calls, calls
    found = refine(candidates, needed, priced)
    priced.calls_left += held_back
    return frozenset(found) if found and frozenset(found) in priced.known else None


def _correction(ledger: Ledger, chosen: Sequence[Names], measured_saving: MeasureUnits | None) -> float:
    """Return how far the table of shares is right, by a measurement of the middle plan."""
    if measured_saving is None or not chosen:
        return 1.0
    middle = chosen[len(chosen) // 2]
    return measured_saving(ledger.named(middle)) / max(ledger.share_of(middle), 1e-9)


def _plan(ledger: Ledger, priced: Priced, names: Names, right: float) -> Plan:
    return Plan(ledger.named(names), 1 - right * ledger.share_of(names), harm_of(ledger, priced, names))


def _half_steps(candidates: Sequence[Candidate], plans: Sequence[Plan], count: int) -> list[Names]:
    """Return up to `count` plans that go half the way to the next: of a block that it takes, a part goes.

    Prices are taken before any training, and speak against half steps; what half a block is worth after it, only the
    measurement at the end can tell. The deepest come first: there the next whole step costs most.
    """
    rows: list[Names] = [(), *(tuple(unit.name for unit in plan.units) for plan in plans)]
    halves: list[Names] = []
    for before, after in reversed(list(pairwise(rows))):
        taken = set(after) - set(before)
        parts = [one for one in candidates if one.saving > 0 and taken & set(one.inside) and one.name not in after]
        parts = [one for one in parts if not set(one.inside) & set(before)]
        if len(halves) < count and set(before) <= set(after) and parts:
            halves.append((*before, min(parts, key=lambda one: one.harm).name))
    return halves


def _non_dominated(plans: Sequence[Plan]) -> list[Plan]:
    """Return the plans that no other equals or beats in both harm and latency, the least cut first."""
    kept = [
        plan
        for plan in plans
        if not any(
            other.harm <= plan.harm and other.predicted_latency_ratio < plan.predicted_latency_ratio for other in plans
        )
    ]
    return _in_order(kept)


def _in_order(plans: Sequence[Plan]) -> list[Plan]:
    return sorted(plans, key=lambda plan: -plan.predicted_latency_ratio)
