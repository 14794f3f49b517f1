"""From the plan of least summed harm to one of less harm in truth, within a stated number of prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from engine.search.interplay import Interplay, Priced
from engine.search.knapsack import EXACT, Candidate, choose

Taken = npt.NDArray[np.bool_]  # (candidates,)

PATIENCE = 6
"""Prices that may bring nothing before the search ends."""
ROUNDS_MAX = 40


def refine(
    candidates: Sequence[Candidate], needed: float, priced: Priced, *, patience: int = PATIENCE
) -> list[str] | None:
    """Return the names of cuts that save `needed` and whose harm together is the least found, None where all do not.

    Units lost together harm more, or less, than the sum: each price of a set teaches the `Interplay` of pairs, and the
    set that it expects to harm least is priced next. The plan of least summed harm is priced first, so the answer is
    never worse than that.
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
    """Return the set without a price that is expected to harm least, None where every near one has its price."""
    interplay = Interplay(usable, priced)
    ground = _Ground(usable, needed)
    seen: dict[frozenset[str], float] = {}
    for start in _starts(usable, needed, interplay, best):
        taken, expected = start, interplay.of(start)
        for _ in range(ROUNDS_MAX):
            neighbours = list(ground.neighbours(taken, interplay))
            for neighbour, harm in neighbours:
                seen.setdefault(ground.names(neighbour), harm)
            step = min(neighbours, key=lambda pair: pair[1], default=None)
            if step is None or step[1] >= expected - EXACT:
                break
            taken, expected = step
        seen.setdefault(ground.names(start), interplay.of(start))
    fresh = {names: harm for names, harm in seen.items() if names not in priced.known}
    return min(fresh, key=lambda names: (fresh[names], sorted(names)), default=None)


def _starts(usable: Sequence[Candidate], needed: float, interplay: Interplay, best: frozenset[str]) -> Iterator[Taken]:
    """Yield the best set so far, and what a knapsack makes of each candidate's harm beside it."""
    taken = np.array([candidate.name in best for candidate in usable])
    yield taken
    beside = interplay.marginal(taken)
    judged = [
        Candidate(candidate.name, max(float(harm), 0.0), candidate.saving, candidate.inside)
        for candidate, harm in zip(usable, beside, strict=True)
    ]
    other = set(choose(judged, needed) or ())
    yield np.array([candidate.name in other for candidate in usable])


class _Ground:
    """The sets that save enough, and the steps between them: one cut less, or one or two for one."""

    def __init__(self, usable: Sequence[Candidate], needed: float) -> None:
        self._names = [candidate.name for candidate in usable]
        self._saving = np.array([candidate.saving for candidate in usable])
        self._needed = needed
        inside = [[other.name in candidate.inside for other in usable] for candidate in usable]
        self._excludes = np.array(inside) | np.array(inside).T

    def names(self, taken: Taken) -> frozenset[str]:
        return frozenset(self._names[row] for row in np.flatnonzero(taken))

    def neighbours(self, taken: Taken, interplay: Interplay) -> Iterator[tuple[Taken, float]]:
        """Yield the sets one step away that save enough, with their expected harm."""
        for removed in self._fewer(taken):
            left = taken.copy()
            left[list(removed)] = False
            free = ~taken & ~self._excludes[left].any(axis=0)
            spare = self._needed - EXACT - float(self._saving[left].sum())
            if removed and spare <= 0:
                yield left, interplay.of(left)
            beside = interplay.marginal(left)
            base = interplay.of(left)
            for row in np.flatnonzero(free):
                if removed and self._saving[row] >= spare:
                    yield _with(left, int(row)), base + float(beside[row])
                if len(removed) == 1:
                    yield from self._pairs(left, free, int(row), base, beside, interplay)

    def _fewer(self, taken: Taken) -> Iterator[tuple[int, ...]]:
        rows = [int(row) for row in np.flatnonzero(taken)]
        yield from ((row,) for row in rows)
        yield from ((a, b) for place, a in enumerate(rows) for b in rows[place + 1 :])

    def _pairs(
        self,
        left: Taken,
        free: Taken,
        row: int,
        base: float,
        beside: npt.NDArray[np.float64],
        interplay: Interplay,
    ) -> Iterator[tuple[Taken, float]]:
        """Yield what two cuts in place of one make."""
        spare = self._needed - EXACT - float(self._saving[left].sum())
        for other in map(int, np.flatnonzero(free[row + 1 :] & ~self._excludes[row, row + 1 :]) + row + 1):
            if self._saving[row] + self._saving[other] >= spare:
                harm = base + float(beside[row] + beside[other] + interplay.pairs[row, other])
                yield _with(left, row, other), harm


def _with(taken: Taken, *rows: int) -> Taken:
    more = taken.copy()
    more[list(rows)] = True
    return more
