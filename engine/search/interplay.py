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
"""How far the scale of the prices is expected to be from that of the single harms, which other images may judge."""
NOISE = 1e-3


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
    """The expected harm of any set: the sum of single harms, and a correction for each pair.

    The corrections are the likeliest ones given the prices: a Gaussian prior, wider between neighbours, with one part
    that all pairs share and a scale for the single harms; so a few prices already tell something about every set.
    """

    def __init__(self, candidates: Sequence[Candidate], priced: Priced) -> None:
        self.harm = np.array([candidate.harm for candidate in candidates])
        self.pairs = np.zeros((len(candidates), len(candidates)))
        self._rows = {candidate.name: row for row, candidate in enumerate(candidates)}
        self._learn(priced)

    def taken(self, names: Collection[str]) -> npt.NDArray[np.bool_]:
        """Return which candidates bear these names, (candidates,)."""
        return np.array([name in names for name in self._rows])

    def of(self, taken: npt.NDArray[np.bool_]) -> float:
        """Return the expected harm of the candidates that are taken, (candidates,)."""
        return float(self.harm @ taken + taken @ self.pairs @ taken / 2)

    def marginal(self, taken: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Return what each candidate adds to the harm of those taken beside it, (candidates,)."""
        return np.asarray(self.harm + self.pairs @ taken)

    def _learn(self, priced: Priced) -> None:
        """Set the scale of the single harms and the correction for each pair, (candidates, candidates), diagonal 0."""
        sets = [names for names in priced.known if all(name in self._rows for name in names)]
        if not sets:
            return
        firsts, seconds = np.triu_indices(len(self.harm), 1)
        level = np.sqrt(np.maximum(self.harm[firsts] * self.harm[seconds], 1e-12))
        scale = level * SPREAD / np.sqrt(np.abs(firsts - seconds))
        taken = np.array([self.taken(names) for names in sets])
        both = (taken[:, firsts] & taken[:, seconds]).astype(np.float64)  # (sets, pairs)
        beyond = np.array([priced.known[names] for names in sets]) - taken @ self.harm
        common = np.stack([both @ level * SHARED, taken @ self.harm * SCALE], axis=1)
        features = np.concatenate([both * scale, common], axis=1)
        gram = features @ features.T
        gram += NOISE * max(float(np.diag(gram).mean()), 1e-12) * np.eye(len(sets))
        answer = features.T @ np.linalg.solve(gram, beyond)
        self.pairs[firsts, seconds] = answer[:-2] * scale + answer[-2] * SHARED * level
        self.pairs += self.pairs.T
        self.harm = self.harm * max(1 + answer[-1] * SCALE, 0.1)
