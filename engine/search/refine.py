"""From the plan of least summed harm to one of less harm in truth, within a stated number of prices."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from engine.search.ground import Ground, Taken
from engine.search.interplay import Interplay, Priced
from engine.search.knapsack import EXACT, Candidate, choose

PATIENCE = 6
"""Prices that may bring nothing before the search ends."""
ROUNDS_MAX = 40
OPTIMISM = 1.8
"""A set is priced next for what it may harm at least: so many standard deviations less than is expected of it.

Times SCALE it is below 1: of a kind that has no price yet, the set of less harm comes first.
"""
HOPEFUL_MAX = 500
"""Sets of least expected harm of which the doubt is worked out."""


def refine(
    candidates: Sequence[Candidate], needed: float, priced: Priced, *, patience: int = PATIENCE
) -> list[str] | None:
    """Return the names of cuts that save `needed` and whose harm together is the least found, None where all do not.

    Units lost together harm more, or less, than the sum: each price of a set teaches the `Interplay` of pairs, and the
    set that may harm least by it is priced next, be it because little is known of its like (an upper confidence bound:
    Auer, 2002; with a Gaussian process: Srinivas et al., 2010). The plan of least summed harm is priced first, so the
    answer is never worse than that.
    """
    additive = choose(candidates, needed)
    if not additive:
        return additive
    usable = [candidate for candidate in candidates if candidate.saving > 0]
    priced.ask(frozenset(additive))
    best, idle = _least_known(usable, needed, priced), 0
    while best is not None and idle < patience:
        wanted = _most_promising(usable, needed, priced, best)
        if wanted is None or priced.ask(wanted) is None:
            break
        idle = 0 if priced.known[wanted] < priced.known[best] else idle + 1
        best = min(best, wanted, key=lambda names: priced.known[names])
    return additive if best is None else [candidate.name for candidate in candidates if candidate.name in best]


def _least_known(usable: Sequence[Candidate], needed: float, priced: Priced) -> frozenset[str] | None:
    """Return the set of least harm among those that have a price and save enough."""
    saving = {candidate.name: candidate.saving for candidate in usable}
    enough = [
        names
        for names in priced.known
        if all(name in saving for name in names) and sum(saving[name] for name in names) >= needed - EXACT
    ]
    return min(enough, key=lambda names: priced.known[names], default=None)


def _most_promising(
    usable: Sequence[Candidate], needed: float, priced: Priced, best: frozenset[str]
) -> frozenset[str] | None:
    """Return the set without a price that may harm least, None where every near one has its price."""
    interplay, ground = Interplay(usable, priced), Ground(usable, needed)
    seen: dict[frozenset[str], float] = {}
    for start in _starts(usable, needed, interplay, best):
        taken, expected = start, interplay.of(start)
        seen.setdefault(ground.names(start), expected)
        for _ in range(ROUNDS_MAX):
            steps = ground.steps(taken, interplay)
            for harm, neighbour in steps:
                seen.setdefault(ground.names(neighbour), harm)
            if not steps or steps[0][0] >= expected - EXACT:
                break
            expected, taken = steps[0]
    fresh = {names: harm for names, harm in seen.items() if names not in priced.known}
    return _most_hopeful(fresh, interplay) if fresh else None


def _most_hopeful(expected: Mapping[frozenset[str], float], interplay: Interplay) -> frozenset[str]:
    """Return the set that harms least if all is as well as one may hope."""
    sets = sorted(expected, key=lambda names: (expected[names], sorted(names)))[:HOPEFUL_MAX]
    doubt = interplay.doubt(np.array([interplay.taken(names) for names in sets]))
    return sets[int(np.argmin([expected[names] for names in sets] - OPTIMISM * doubt))]


def _starts(usable: Sequence[Candidate], needed: float, interplay: Interplay, best: frozenset[str]) -> Iterator[Taken]:
    """Yield the best set so far, and what a knapsack makes of each candidate's harm beside it: of all, and by kind."""
    taken = interplay.taken(best)
    yield taken
    beside = np.maximum(interplay.marginal(taken), 0.0)
    judged = [dataclasses.replace(one, harm=float(harm)) for one, harm in zip(usable, beside, strict=True)]
    yield interplay.taken(choose(judged, needed) or ())
    kinds = sorted({one.kind for one in judged})
    for kind in kinds if len(kinds) > 1 else ():
        alone = choose([one for one in judged if one.kind == kind], needed)
        if alone:
            yield interplay.taken(alone)
