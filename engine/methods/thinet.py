"""ThiNet: the channels that the next layer's outputs miss least go first.

Luo et al., "ThiNet: A Filter Level Pruning Method for Deep Neural Network Compression", ICCV 2017. arXiv:1707.06342
The paper samples outputs and sums what each channel adds to them; all it needs of the samples is their second moments,
and those follow from what the layers read, so nothing is stored for each image and every output counts.
"""

from __future__ import annotations

import numpy as np

from engine.pricing.method import Method
from engine.pricing.sums import Array, GroupStudy, Sum


def rank(study: GroupStudy) -> list[int]:
    """Return all channels in the order in which they go: each time the one that leaves the removed sum least."""
    moments = sum(_contributions(one) for one in study.sums)
    return greedy(np.asarray(moments))


def greedy(moments: Array) -> list[int]:
    """Return the order that at each step adds least to the power of the sum of what is gone; (size, size) moments."""
    size = len(moments)
    power, beside = np.diag(moments).copy(), np.zeros(size)
    order: list[int] = []
    for _ in range(size):
        cost = power + 2 * beside
        cost[order] = np.inf
        order.append(int(cost.argmin()))
        beside += moments[order[-1]]
    return order


def _contributions(one: Sum) -> Array:
    """Return the second moments, over rows and outputs, of what each channel adds to a layer's outputs."""
    places = one.rows.reshape(-1)
    size, each = one.rows.shape
    weighed = one.fit.gram[0][np.ix_(places, places)] * (one.weights[places] @ one.weights[places].T)
    total = weighed.reshape(size, each, size, each).sum(axis=(1, 3))
    return np.asarray(total / max(one.power, 1e-30))


METHOD = Method(ranking=lambda study: rank)
