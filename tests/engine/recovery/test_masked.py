"""Refitting beside zeros is least squares over the weights that are left, and never does harm where it is checked."""

from __future__ import annotations

import numpy as np
import pytest

from engine.graph.normalise import normalise
from engine.graph.writers import find_layer
from engine.recovery.masked import masked_regression, masked_weights
from engine.recovery.moments import Moments
from engine.recovery.ridge import RIDGES, ridge_regression, weights_of
from tests.networks import NETWORKS

GROUPS, ROWS, UNKNOWNS, OUTPUTS = 2, 60, 12, 5


def drawn(seed: int, rows: int = ROWS) -> tuple[Moments, np.ndarray, np.ndarray]:
    """Moments of correlated inputs, weights to start from, and which of them are free."""
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((GROUPS, rows, UNKNOWNS)) @ generator.standard_normal(
        (GROUPS, UNKNOWNS, UNKNOWNS)
    )
    targets = inputs @ generator.standard_normal((GROUPS, UNKNOWNS, OUTPUTS))
    turned = inputs.transpose(0, 2, 1)
    moments = Moments(turned @ inputs, turned @ targets, float((targets**2).sum()))
    free = generator.random((GROUPS, UNKNOWNS, OUTPUTS)) < 0.5
    return moments, free * generator.standard_normal(free.shape), free


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ridge", RIDGES)
def test_it_finds_what_solving_for_each_output_alone_finds(seed: int, ridge: float) -> None:
    moments, start, free = drawn(seed)

    found = masked_regression(moments, start, free, ridge, rounds=200)

    for group in range(GROUPS):
        gram = moments.gram[group]
        strength = ridge * np.trace(gram) / UNKNOWNS
        for output in range(OUTPUTS):
            left = free[group, :, output]
            wanted = moments.cross[group, left, output] + strength * start[group, left, output]
            alone = np.linalg.solve(gram[np.ix_(left, left)] + strength * np.eye(left.sum()), wanted)
            np.testing.assert_allclose(found[group, left, output], alone, rtol=1e-6, atol=1e-8)
    assert not found[~free].any()


@pytest.mark.parametrize("ridge", RIDGES)
def test_where_all_are_free_it_is_ridge_regression(ridge: float) -> None:
    moments, start, free = drawn(0)

    found = masked_regression(moments, start, np.ones_like(free), ridge, rounds=200)

    np.testing.assert_allclose(found, ridge_regression(moments, start, ridge), rtol=1e-6, atol=1e-8)


def test_weights_that_fit_the_check_best_are_taken_and_zeros_stay() -> None:
    model = normalise(NETWORKS["residual"][0]())
    layer = [found for node in model.graph if (found := find_layer(node)) is not None][1]
    weight = model.weight(layer.weight)
    model.set_weight(layer.weight, np.where(np.abs(weight) > np.median(np.abs(weight)), weight, 0).astype(np.float32))
    start, generator = weights_of(model, layer), np.random.default_rng(0)
    inputs = generator.standard_normal((1, 300, start.shape[1]))
    inputs[..., -1] = 1
    wished = weights_of(normalise(NETWORKS["residual"][0]()), layer)
    turned, targets = inputs.transpose(0, 2, 1), inputs @ wished
    fit = Moments(turned @ inputs, turned @ targets, float((targets**2).sum()))

    found = masked_weights(model, layer, fit, fit)

    assert fit.residual(found) < fit.residual(start)
    assert ((found == 0) == (start == 0))[:, :-1].all()


def test_a_layer_that_nothing_comes_into_keeps_its_weights() -> None:
    moments, start, free = drawn(0)
    silent = Moments(0 * moments.gram, 0 * moments.cross, 0.0)

    np.testing.assert_array_equal(masked_regression(silent, start, free, 0.1), start)
