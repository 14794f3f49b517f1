"""Channel regression: the channels that the others can stand in for go first.

He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017. arXiv:1707.06168
The paper finds them by LASSO; here they are taken away one after the other, backwards, each time those that a new
regression of what is left misses least. Hassibi and Stork, "Optimal Brain Surgeon", 1993, for the step; Meng et al.,
"OSSCAR", 2024, arXiv:2403.12983, for doing it to whole channels.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from engine.pricing.method import Method, Rank
from engine.pricing.study import Study
from engine.pricing.sums import Array, GroupStudy, Sum

Places = npt.NDArray[np.intp]

RIDGE = 1e-3
ROUNDS, SHORT_ROUNDS = 128, 32
"""Of a group of more channels several go at once: of 1,152 it is nine, and the answer comes in seconds."""


def ranking(study: Study) -> Rank:
    """Return what ranks the channels of a group, in fewer rounds where the time is short."""
    return functools.partial(rank, rounds=SHORT_ROUNDS if study.allowance.is_short else ROUNDS)


def rank(study: GroupStudy, rounds: int = ROUNDS) -> list[int]:
    """Return all channels in the order in which they go."""
    return backwards([_State(one) for one in study.sums], len(study.written), rounds)


class _State:
    """One layer's regression of its input from the channels that are left.

    `inverse` is that of their second moments; `missed` weighs what each of them now stands for with what the outputs
    ask: taking channels s away adds trace(missed[s, s] / inverse[s, s]) to the error of the outputs. Rows and columns
    of what is gone are zero.
    """

    def __init__(self, one: Sum) -> None:
        gram = one.gram / max(float((one.gram * one.demand).sum()), 1e-30)
        ridge = RIDGE * float(np.trace(gram)) / len(gram) + 1e-30
        self.inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
        self.missed = one.demand.copy()

    def costs(self, left: Places) -> Array:
        return np.asarray(np.diag(self.missed)[left] / np.diag(self.inverse)[left])

    def remove(self, gone: Places) -> None:
        """Take channels away, in place: with B the regression of all from the rest, missed becomes B' missed B."""
        shift = np.linalg.solve(self.inverse[np.ix_(gone, gone)], self.inverse[gone])
        half = self.missed[:, gone] - shift.T @ self.missed[np.ix_(gone, gone)] / 2
        self.missed -= np.hstack([half, shift.T]) @ np.vstack([shift, half.T])
        self.inverse -= self.inverse[:, gone] @ shift


def backwards(states: list[_State], size: int, rounds: int = ROUNDS) -> list[int]:
    """Return the order: each time the channels of least cost, summed over the layers, a few at once of many."""
    left, order, at_once = np.arange(size), list[int](), math.ceil(size / rounds)
    while len(left) > 1:
        costs = np.sum([state.costs(left) for state in states], axis=0)
        gone = left[np.argsort(costs, kind="stable")[: min(at_once, len(left) - 1)]]
        order += [int(channel) for channel in gone]
        for state in states:
            state.remove(gone)
        left = np.setdiff1d(left, gone)
    return [*order, *(int(channel) for channel in left)]


METHOD = Method(ranking=ranking)
