"""Channel regression: the channels that the others can stand in for go first.

He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017. arXiv:1707.06168
The paper finds them by LASSO; here they are taken away one after the other, backwards, each time those that a new
regression of what is left misses least. Hassibi and Stork, "Optimal Brain Surgeon", 1993, for the step; Meng et al.,
"OSSCAR", 2024, arXiv:2403.12983, for doing it to whole channels.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engine.pricing.method import Method
from engine.pricing.sums import Array, GroupStudy, Sum

Places = npt.NDArray[np.intp]

RIDGE = 1e-3
ROUNDS = 128
"""Of a group of more channels several go at once: of 1,152 it is nine, and the answer comes in seconds."""


def rank(study: GroupStudy) -> list[int]:
    """Return all channels in the order in which they go."""
    return backwards([_State(one) for one in study.sums], len(study.written))


class _State:
    """One layer's regression of its input from the channels that are left.

    `inverse` is that of their second moments; `missed` weighs what each of them now stands for with what the outputs
    ask: taking channels s away adds trace(missed[s, s] / inverse[s, s]) to the error of the outputs.
    """

    def __init__(self, one: Sum) -> None:
        gram = one.gram / max(float((one.gram * one.demand).sum()), 1e-30)
        ridge = RIDGE * float(np.trace(gram)) / len(gram) + 1e-30
        self.inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
        self.missed = one.demand.copy()

    def costs(self) -> Array:
        return np.asarray(np.diag(self.missed) / np.diag(self.inverse))

    def remove(self, gone: Places, stay: Places) -> None:
        """Take the channels of these places away, and keep the rest in its order."""
        shift = np.linalg.solve(self.inverse[np.ix_(gone, gone)], self.inverse[np.ix_(gone, stay)])
        across = self.missed[np.ix_(stay, gone)] @ shift
        own = shift.T @ self.missed[np.ix_(gone, gone)] @ shift
        self.missed = self.missed[np.ix_(stay, stay)] - across - across.T + own
        self.inverse = self.inverse[np.ix_(stay, stay)] - self.inverse[np.ix_(stay, gone)] @ shift


def backwards(states: list[_State], size: int) -> list[int]:
    """Return the order: each time the channels of least cost, summed over the layers, a few at once of many."""
    left, order, at_once = np.arange(size), list[int](), math.ceil(size / ROUNDS)
    while len(left) > 1:
        costs = np.sum([state.costs() for state in states], axis=0)
        gone = np.sort(np.argsort(costs, kind="stable")[: min(at_once, len(left) - 1)])
        order += [int(left[place]) for place in gone[np.argsort(costs[gone], kind="stable")]]
        stay = np.setdiff1d(np.arange(len(left)), gone)
        for state in states:
            state.remove(gone, stay)
        left = left[stay]
    return [*order, *(int(channel) for channel in left)]


METHOD = Method(ranking=lambda study: rank)
