"""A front: plans from the smallest useful saving to the largest, each with the one before inside where it can be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.planning.ledger import Ledger
from engine.planning.plans import MeasureUnits, Plan, harm_of
from engine.search import Candidate, Interplay, Priced, choose, most, refine

USEFUL_SAVING = 0.03
"""The least saving that a front begins with: less could hardly be told from none."""
CALLS_A_PLAN = 3
NESTED_IS_WORTH = 1.1
"""A plan that holds the one before may harm so much more: what that one was taught is kept."""


def plan_front(ledger: Ledger, priced: Priced, measured_saving: MeasureUnits | None, count: int) -> list[Plan]:
    """Return about `count` plans, the least cut first, evenly spaced in what they save and none worse than another.

    Each holds the units of the one before unless another plan of that saving harms clearly less. Where
    `measured_saving` is given, the middle plan is measured, and what that tells corrects the figures of all.
    """
    candidates = ledger.candidates()
    furthest = ledger.saving_of(most(candidates))
    chosen: list[tuple[str, ...]] = []
    for needed in np.linspace(min(_least_useful(candidates), furthest), furthest, count):
        before = chosen[-1] if chosen else ()
        names = _next(candidates, float(needed), priced, before)
        if names not in chosen:
            chosen.append(names)
    return _non_dominated(_plans(ledger, priced, chosen, measured_saving))


def _least_useful(candidates: Sequence[Candidate]) -> float:
    useful = [candidate.saving for candidate in candidates if candidate.saving > 0]
    return max(min(useful, default=0.0), USEFUL_SAVING)


def _next(candidates: Sequence[Candidate], needed: float, priced: Priced, before: Sequence[str]) -> tuple[str, ...]:
    """Return the plan for one saving: the one before and more, or another where that is clearly better."""
    grown = _grow(candidates, needed, priced, before)
    harm = priced.ask(frozenset(grown))
    wanted = min(priced.calls_left, CALLS_A_PLAN - 1)
    other = _other(candidates, needed, priced, wanted)
    if harm is None or other is None or harm <= NESTED_IS_WORTH * priced.known[other]:
        return grown
    return tuple(candidate.name for candidate in candidates if candidate.name in other)


def _grow(candidates: Sequence[Candidate], needed: float, priced: Priced, before: Sequence[str]) -> tuple[str, ...]:
    """Return the units there are and those that add the least harm beside them."""
    interplay = Interplay(candidates, priced)
    beside = interplay.marginal(interplay.taken(before))
    saved = sum(candidate.saving for candidate in candidates if candidate.name in before)
    free = [
        Candidate(candidate.name, max(float(harm), 0.0), candidate.saving, candidate.inside)
        for candidate, harm in zip(candidates, beside, strict=True)
        if not _clashes(candidate, candidates, before)
    ]
    more = choose(free, needed - saved)
    names = {*before, *(most(free) if more is None else more)}
    return tuple(candidate.name for candidate in candidates if candidate.name in names)


def _clashes(candidate: Candidate, candidates: Sequence[Candidate], names: Sequence[str]) -> bool:
    """Say whether a candidate is among these, inside one of them or around one."""
    around = {outer for other in candidates if other.name in names for outer in other.inside}
    return candidate.name in names or candidate.name in around or not set(candidate.inside).isdisjoint(names)


def _other(candidates: Sequence[Candidate], needed: float, priced: Priced, calls: int) -> frozenset[str] | None:
    """Return the best plan of this saving that a few prices find, holding what it may."""
    held_back, priced.calls_left = priced.calls_left - calls, calls
    found = refine(candidates, needed, priced)
    priced.calls_left += held_back
    return frozenset(found) if found and frozenset(found) in priced.known else None


def _plans(
    ledger: Ledger, priced: Priced, chosen: Sequence[tuple[str, ...]], measured_saving: MeasureUnits | None
) -> list[Plan]:
    """Return plans with what is expected of them, once a measurement has said how far the table of shares is right."""
    right = 1.0
    if measured_saving is not None and chosen:
        middle = chosen[len(chosen) // 2]
        right = measured_saving(ledger.named(middle)) / max(ledger.share_of(middle), 1e-9)
    return [
        Plan(ledger.named(names), 1 - right * ledger.share_of(names), harm_of(ledger, priced, names))
        for names in chosen
    ]


def _non_dominated(plans: Sequence[Plan]) -> list[Plan]:
    """Return the plans that no other equals or beats in both harm and latency, the least cut first."""
    kept = [
        plan
        for plan in plans
        if not any(
            other.harm <= plan.harm and other.predicted_latency_ratio < plan.predicted_latency_ratio for other in plans
        )
    ]
    return sorted(kept, key=lambda plan: -plan.predicted_latency_ratio)
