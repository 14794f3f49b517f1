"""What the harm of a set is beyond the sum of its members' harms: learnt from the sets that were priced."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

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


class Priced:
    """A price that is asked once for each set, at most `calls` times and about `seconds` long; what it says is kept.

    `counted` says how often it was asked so: as many calls and no clock tell the same again.
    """

    def __init__(self, price: Price, calls: int, seconds: float = math.inf) -> None:
        self.known: dict[frozenset[str], float] = {}
        self.calls_left, self.counted = calls, 0
        self._price = price
        self._seconds_left, self._last_seconds = seconds, 0.0
        self._beyond = 0

    @contextmanager
    def beyond(self, calls: int) -> Iterator[None]:
        """Where calls or time are used up, allow so many more here, which are not counted."""
        self._beyond = calls
        yield
        self._beyond = 0

    def ask(self, names: frozenset[str]) -> float | None:
        """Return the harm of a set, or None where it is not known and no call or no time for one is left."""
        if names not in self.known:
            if self._is_used_up():
                if not self._beyond:
                    return None
                self._beyond -= 1
                self.known[names] = self._price(names)
                return self.known[names]
            started = time.monotonic()
            self.known[names] = self._price(names)
            self.calls_left, self.counted = self.calls_left - 1, self.counted + 1
            self._last_seconds = time.monotonic() - started
            self._seconds_left -= self._last_seconds
        return self.known[names]

    def _is_used_up(self) -> bool:
        """Tell whether no call is left or no time for one; what the time has ended once stays ended."""
        if self._seconds_left < self._last_seconds:
            self._seconds_left = 0.0
        return self.calls_left <= 0 or self._seconds_left <= 0


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
