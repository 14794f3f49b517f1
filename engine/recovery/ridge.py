"""Ridge regression of a layer's weights from second moments, and where in the graph those weights are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve

from engine.graph.edits import kind
from engine.graph.model import Model
from engine.graph.writers import Writer, has_bias, is_transposed
from engine.recovery.moments import Moments

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
Weights = npt.NDArray[np.float64]  # (unknowns, channels); the last row is the bias, where there is one


def best_weights(model: Model, writer: Writer, fit: Moments, check: Moments) -> Weights:
    """Return the weights that answer best on `check`: least squares on `fit` at several ridges, or those there are."""
    start = weights_of(model, writer)
    answers = [ridge_regression(fit, start, ridge) for ridge in RIDGES]
    return min([*answers, start], key=check.residual)


def ridge_regression(moments: Moments, start: Weights, ridge: float) -> Weights:
    """Return the weights of least squares, drawn towards `start` by `ridge` times the mean power of an input."""
    strength = ridge * float(np.diag(moments.gram).mean())
    system = moments.gram + strength * np.eye(len(moments.gram))
    return np.asarray(solve(system, moments.cross + strength * start, assume_a="pos"))


def weights_of(model: Model, writer: Writer) -> Weights:
    weight, node = model.weight(writer.weight).astype(np.float64), model.nodes()[writer.node]
    if kind(node) == "Conv":
        weight = weight.reshape(len(weight), -1).T  # (out, in, kh, kw) -> (in*kh*kw, out)
    elif is_transposed(node):
        weight = weight.T
    if has_bias(model, writer):
        assert writer.bias is not None
        weight = np.concatenate([weight, model.weight(writer.bias).astype(np.float64).reshape(1, -1)])
    return weight


def set_weights(model: Model, writer: Writer, weights: Weights) -> None:
    old, node = model.weight(writer.weight), model.nodes()[writer.node]
    if has_bias(model, writer):
        assert writer.bias is not None
        old_bias = model.weight(writer.bias)
        model.set_weight(writer.bias, weights[-1].reshape(old_bias.shape).astype(old_bias.dtype))
        weights = weights[:-1]
    if kind(node) == "Conv" or is_transposed(node):
        weights = weights.T
    model.set_weight(writer.weight, weights.reshape(old.shape).astype(old.dtype))
