"""Ridge regression of the weights that are not zero: those that are stay so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.graph.model import Model
from engine.graph.writers import Writer, has_bias
from engine.recovery.moments import Moments
from engine.recovery.ridge import RIDGES, TINY, Weights, weights_of

ROUNDS = 24
"""Of conjugate gradients, all outputs at once; each has other weights left, so no one matrix serves them all."""

Free = npt.NDArray[np.bool_]


def masked_weights(model: Model, writer: Writer, fit: Moments, check: Moments) -> Weights:
    """Return the weights that answer best on `check`: those not zero, and the bias, are fitted at several ridges."""
    start = weights_of(model, writer)
    free = start != 0
    if has_bias(model, writer):
        free[:, -1] = True
    answers = [masked_regression(fit, start, free, ridge) for ridge in RIDGES]
    return min([*answers, start], key=check.residual)


def masked_regression(moments: Moments, start: Weights, free: Free, ridge: float, rounds: int = ROUNDS) -> Weights:
    """Return least squares over the free weights, drawn towards `start` as `ridge_regression` draws; others stay.

    Conjugate gradients, scaled by the diagonal: Hestenes and Stiefel, 1952.
    """
    size = start.shape[1]
    strength = np.maximum(ridge * np.trace(moments.gram, axis1=1, axis2=2) / size, TINY)[:, None, None]
    diagonal = np.diagonal(moments.gram, axis1=1, axis2=2)[:, :, None] + strength
    weights = start.copy()
    left = free * (moments.cross - moments.gram @ start)  # the gradient, downhill; the ridge pulls nowhere at the start
    scaled = left / diagonal
    direction, power = scaled, _product(left, scaled)
    for _ in range(rounds):
        image = free * (moments.gram @ direction + strength * direction)
        step = power / np.maximum(_product(direction, image), 1e-300)
        weights += step * direction
        left -= step * image
        scaled = left / diagonal
        before, power = power, _product(left, scaled)
        direction = scaled + power / np.maximum(before, 1e-300) * direction
    return weights


def _product(one: Weights, other: Weights) -> Weights:
    """Return the inner product of each output's column: (groups, 1, channels of a group)."""
    return np.asarray((one * other).sum(axis=1, keepdims=True))
