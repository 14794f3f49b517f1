"""What the harm of a set is beyond the sum of its members' harms: learnt from the sets that were priced."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from engine.search.knapsack import Candidate

Price = Callable[[frozenset[str]], float]
"""The harm of losing a set of candidates together, by name; what it costs to ask is what limits a search."""

SPREAD = 0.3
"""How far a pair's interplay is expected to be from 0, as a part of the geometric mean of its members' harms."""
SHARED = 1.0
"""The same for the part that all pairs have in common."""
NOISE = 1e-3


class Priced:
    """A price that is asked once for each set, at most `calls` times, and keeps what it was told."""

    def __init__(self, price: Price, calls: int) -> None:
        self.known: dict[frozenset[str], float] = {}
        self.calls_left = calls
        self._price = price

    def ask(self, names: frozenset[str]) -> float | None:
        """Return the harm of a set, or None where it is not known and no call is left."""
        if names not in self.known:
            if self.calls_left <= 0:
                return None
            self.calls_left -= 1
            self.known[names] = self._price(names)
        return self.known[names]


class Interplay:
    """The expected harm of any set: the sum of single harms, and a correction for each pair.

    The corrections are the likeliest ones given the prices: a Gaussian prior, wider between neighbours, with one part
    that all pairs share; so a few prices already tell something about every set.
    """

    def __init__(self, candidates: Sequence[Candidate], priced: Priced) -> None:
        self.harm = np.array([candidate.harm for candidate in candidates])
        self._rows = {candidate.name: row for row, candidate in enumerate(candidates)}
        self.pairs = self._likeliest(priced)

    def of(self, taken: npt.NDArray[np.bool_]) -> float:
        """Return the expected harm of the candidates that are taken, (candidates,)."""
        return float(self.harm @ taken + taken @ self.pairs @ taken / 2)

    def marginal(self, taken: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Return what each candidate adds to the harm of those taken beside it, (candidates,)."""
        return np.asarray(self.harm + self.pairs @ taken)

    def _likeliest(self, priced: Priced) -> npt.NDArray[np.float64]:
        """Return the correction for each pair, symmetric, (candidates, candidates), its diagonal 0."""
        count = len(self.harm)
        firsts, seconds = np.triu_indices(count, 1)
        level = np.sqrt(np.maximum(self.harm[firsts] * self.harm[seconds], 1e-12))
        scale = level * SPREAD / np.sqrt(np.abs(firsts - seconds))
        sets = [names for names in priced.known if len(names) > 1 and all(name in self._rows for name in names)]
        if not sets:
            return np.zeros((count, count))
        taken = np.array([[name in names for name in self._rows] for names in sets])
        both = (taken[:, firsts] & taken[:, seconds]).astype(np.float64)  # (sets, pairs)
        beyond = np.array([priced.known[names] for names in sets]) - taken @ self.harm
        features = np.concatenate([both * scale, (both @ level)[:, np.newaxis] * SHARED], axis=1)
        gram = features @ features.T
        gram += NOISE * max(float(np.diag(gram).mean()), 1e-12) * np.eye(len(sets))
        answer = features.T @ np.linalg.solve(gram, beyond)
        pairs = np.zeros((count, count))
        pairs[firsts, seconds] = answer[:-1] * scale + answer[-1] * SHARED * level
        return pairs + pairs.T
