"""The sets that save enough, and the steps between them: one cut less, or one or two for one, or one for two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from engine.search.interplay import Interplay
from engine.search.knapsack import EXACT, Candidate

Taken = npt.NDArray[np.bool_]  # (candidates,)
Rows = npt.NDArray[np.intp]
Move = tuple[Rows, Rows]  # (moves, 0 to 2) rows that go, and rows that come instead

STEPS_KEPT = 40
"""Of each kind of step; what is expected to harm more is not worth a look."""


ROWS_MAX = 40
"""Of the cuts that are taken the dearest, of the others the cheapest: all of a large network make too many steps."""


class Ground:
    """All sets of candidates that save what is needed, none of them with a cut inside another."""

    def __init__(self, usable: Sequence[Candidate], needed: float) -> None:
        self._names = [candidate.name for candidate in usable]
        self._saving = np.array([candidate.saving for candidate in usable])
        self._needed = needed
        inside = np.array([[other.name in candidate.inside for other in usable] for candidate in usable])
        self._excludes = inside | inside.T

    def names(self, taken: Taken) -> frozenset[str]:
        return frozenset(self._names[row] for row in np.flatnonzero(taken))

    def steps(self, taken: Taken, interplay: Interplay) -> list[tuple[float, Taken]]:
        """Return the sets one step away that are expected to harm least, the least harmful first."""
        found: list[tuple[float, Taken]] = []
        dearness = interplay.marginal(taken) / self._saving
        taken_rows, free_rows = (rows[np.argsort(dearness[rows], kind="stable")] for rows in _split(taken))
        for less, more in _moves(np.sort(taken_rows[-ROWS_MAX:]), np.sort(free_rows[:ROWS_MAX])):
            harm = self._harm(taken, less, more, interplay)
            for move in np.argsort(harm, kind="stable")[:STEPS_KEPT]:
                if np.isfinite(harm[move]):
                    other = taken.copy()
                    other[less[move]], other[more[move]] = False, True
                    found.append((float(harm[move]), other))
        return sorted(found, key=lambda step: step[0])

    def _harm(self, taken: Taken, less: Rows, more: Rows, interplay: Interplay) -> npt.NDArray[np.float64]:
        """Return the harm to be expected after each move, (moves,); infinite where the set is none of these."""
        beside, pairs = interplay.marginal(taken), interplay.pairs
        harm = interplay.of(taken) - beside[less].sum(axis=1) + beside[more].sum(axis=1) - _between(pairs, less, more)
        harm += _within(pairs, less) + _within(pairs, more)
        saved = self._saving[taken].sum() - self._saving[less].sum(axis=1) + self._saving[more].sum(axis=1)
        clashes = self._excludes @ taken.astype(np.intp)
        clashes = clashes[more].sum(axis=1) - _between(self._excludes, less, more) + _within(self._excludes, more)
        return np.where((saved >= self._needed - EXACT) & (clashes == 0), harm, np.inf)


def _split(taken: Taken) -> tuple[Rows, Rows]:
    return np.flatnonzero(taken), np.flatnonzero(~taken)


def _moves(taken: Rows, free: Rows) -> Iterator[Move]:
    ones, others = taken[:, np.newaxis], free[:, np.newaxis]
    yield ones, np.zeros((len(ones), 0), np.intp)
    yield _each_with_each(ones, others)
    yield _each_with_each(_twos(taken), others)
    yield _each_with_each(ones, _twos(free))


def _twos(rows: Rows) -> Rows:
    """Return all pairs of rows, (pairs, 2)."""
    first, second = np.triu_indices(len(rows), 1)
    return np.stack([rows[first], rows[second]], axis=1)


def _each_with_each(less: Rows, more: Rows) -> Move:
    return np.repeat(less, len(more), axis=0), np.tile(more, (len(less), 1))


def _between(matrix: npt.NDArray[np.generic], less: Rows, more: Rows) -> npt.NDArray[np.float64]:
    """Return the sum of a matrix over what goes and what comes in each move, (moves,)."""
    return np.asarray(matrix[less[:, :, np.newaxis], more[:, np.newaxis, :]].sum(axis=(1, 2)), np.float64)


def _within(matrix: npt.NDArray[np.generic], rows: Rows) -> npt.NDArray[np.float64]:
    """Return the entry of a matrix for the two rows of each move, (moves,), 0 where it has fewer than two."""
    return np.asarray(matrix[rows[:, 0], rows[:, 1]], np.float64) if rows.shape[1] == 2 else np.zeros(len(rows))
