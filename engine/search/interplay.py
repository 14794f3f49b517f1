"""What the harm of a set is beyond the sum of its members' harms: learnt from the sets that were priced."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.search.knapsack import Candidate

Price = Callable[[frozenset[str]], float]
"""The harm of losing a set of candidates together, by name; what it costs to ask is what limits a search."""

SPREAD = 0.3
"""How far a pair's interplay is expected to be from 0, as a part of the geometric mean of its members' harms."""
SHARED = 1.0
"""The same for the part that all pairs have in common."""
SCALE = 0.5
"""How far the scale of the prices is expected to be from that of the single harms of one kind of cut.

Other images may judge them, and what channels lose is mended otherwise than what a block loses.
"""
NOISE = 1e-3

Taken = npt.NDArray[np.bool_]  # (candidates,) or (sets, candidates)
Figures = npt.NDArray[np.float64]


@dataclass
class Purse:
    """So many calls, and seconds for them; a call that would take longer than is left is not begun."""

    calls: int
    seconds: float = math.inf
    counted: int = 0
    last_seconds: float = 0.0

    def has_one(self, expected_seconds: float = 0.0) -> bool:
        return self.calls > 0 and self.seconds > 0 and self.seconds >= max(self.last_seconds, expected_seconds)

    def pay(self, seconds: float) -> None:
        self.calls, self.counted = self.calls - 1, self.counted + 1
        self.seconds, self.last_seconds = self.seconds - seconds, seconds


class Priced:
    """A price that is asked once for each set; what it says is kept.

    It is asked at most `calls` times and about `seconds` long, and out of `spare` where those are used up and the
    search says that it may. `counted` of either says how often: as many calls and no clock tell the same again.
    """

    def __init__(self, price: Price, calls: int, seconds: float = math.inf, spare: Purse | None = None) -> None:
        self.known: dict[frozenset[str], float] = {}
        self.usual, self.spare = Purse(calls, seconds), spare or Purse(0)
        self._price = price
        self._spare_here = 0

    @contextmanager
    def sparing(self, calls: int) -> Iterator[None]:
        """Let at most so many prices be asked out of the spare ones here."""
        self._spare_here = calls
        yield
        self._spare_here = 0

    def ask(self, names: frozenset[str]) -> float | None:
        """Return the harm of a set, or None where it is not known and no call or no time for one is left."""
        if names in self.known:
            return self.known[names]
        if self.usual.has_one():
            purse = self.usual
        elif self._spare_here and self.spare.has_one(self.usual.last_seconds):
            purse, self._spare_here = self.spare, self._spare_here - 1
        else:
            return None
        started = time.monotonic()
        self.known[names] = self._price(names)
        purse.pay(time.monotonic() - started)
        return self.known[names]


class Interplay:
    """The expected harm of any set: the sum of single harms, and a correction for each pair; and the doubt about it.

    The corrections are the likeliest ones given the prices: a Gaussian prior, wider between neighbours, with one part
    that all pairs share and a scale for the single harms of each kind of cut; so a few prices already tell something
    about every set.
    """

    def __init__(self, candidates: Sequence[Candidate], priced: Priced) -> None:
        self.harm = np.array([candidate.harm for candidate in candidates])
        self._rows = {candidate.name: row for row, candidate in enumerate(candidates)}
        self._prior = _Prior(self.harm, [candidate.kind for candidate in candidates])
        sets = [names for names in priced.known if all(name in self._rows for name in names)]
        self._known = np.array([self.taken(names) for names in sets]).reshape(len(sets), len(candidates))
        beyond = np.array([priced.known[names] for names in sets]) - self._known @ self.harm
        self._trust = self._prior.trust(self._known)
        self.pairs, scales = self._prior.likeliest(self._known, self._trust @ beyond)
        self.harm = self.harm * scales

    def taken(self, names: Collection[str]) -> Taken:
        """Return which candidates bear these names, (candidates,)."""
        return np.array([name in names for name in self._rows])

    def of(self, taken: Taken) -> float:
        """Return the expected harm of the candidates that are taken, (candidates,)."""
        return float(self.harm @ taken + taken @ self.pairs @ taken / 2)

    def marginal(self, taken: Taken) -> Figures:
        """Return what each candidate adds to the harm of those taken beside it, (candidates,)."""
        return np.asarray(self.harm + self.pairs @ taken)

    def doubt(self, sets: Taken) -> Figures:
        """Return the standard deviation of the harm that is expected of each set, (sets,); sets: (sets, candidates)."""
        seen = self._prior.covariance(sets, self._known)
        left = self._prior.variance(sets) - (seen @ self._trust * seen).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(left, 0.0)))


class _Prior:
    """What may be expected of harm beyond the sum before any price is known: a Gaussian of mean 0 over all sets."""

    def __init__(self, harm: Figures, kinds: Sequence[str]) -> None:
        rows = np.arange(len(harm))
        apart = np.abs(rows[:, np.newaxis] - rows)
        self._level = np.sqrt(np.maximum(np.outer(harm, harm), 1e-12)) * (apart > 0)
        self._near = (SPREAD * self._level) ** 2 / np.maximum(apart, 1)
        self._of_kind = np.array([[own == kind for own in kinds] for kind in sorted({*kinds})])
        self._harm = self._of_kind * harm  # (kinds, candidates)

    def covariance(self, sets: Taken, others: Taken) -> Figures:
        """Return that of the harms of any two of them, (sets, others)."""
        both = [sets & other for other in others]
        by_pairs = [(each @ self._near * each).sum(axis=1) / 2 for each in both]
        of_pairs = np.array(by_pairs).reshape(len(others), len(sets)).T
        of_all = SHARED**2 * np.outer(self._levels(sets), self._levels(others))
        return np.asarray(of_pairs + of_all + SCALE**2 * (sets @ self._harm.T) @ (others @ self._harm.T).T)

    def variance(self, sets: Taken) -> Figures:
        """Return that of the harm of each set, (sets,)."""
        of_pairs = (sets @ self._near * sets).sum(axis=1) / 2
        return np.asarray(of_pairs + (SHARED * self._levels(sets)) ** 2 + ((SCALE * sets @ self._harm.T) ** 2).sum(1))

    def trust(self, known: Taken) -> Figures:
        """Return the inverse of the covariance of what is known, some noise in each, (known, known)."""
        noise = np.diag(NOISE * self.variance(known) + 1e-15)
        return np.asarray(np.linalg.inv(self.covariance(known, known) + noise))

    def likeliest(self, known: Taken, weights: Figures) -> tuple[Figures, Figures]:
        """Return the correction for each pair, (candidates, candidates), and the scale of each single harm."""
        pairs = self._near * (known.T * weights @ known) + SHARED**2 * self._level * (self._levels(known) @ weights)
        scales = 1 + SCALE**2 * (self._harm @ known.T @ weights)  # (kinds,)
        return pairs, np.maximum(scales, 0.1) @ self._of_kind

    def _levels(self, sets: Taken) -> Figures:
        return np.asarray((sets @ self._level * sets).sum(axis=1) / 2)
