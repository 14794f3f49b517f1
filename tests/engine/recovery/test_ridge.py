"""Least squares at several ridges: what held-out rows like best, whatever the solver had to do for it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.recovery import ridge as module
from engine.recovery.moments import Moments
from engine.recovery.ridge import RIDGES, best_answer, ridge_regression


def moments_of(inputs: np.ndarray, targets: np.ndarray) -> Moments:
    return Moments((inputs.T @ inputs)[None], (inputs.T @ targets)[None], float((targets**2).sum()))


def drawn(rows: int, noise: float, seed: int) -> tuple[Moments, Moments, np.ndarray]:
    """A layer of 12 unknowns and 3 outputs: moments to fit on and to check on, and where to start from."""
    generator = np.random.default_rng(seed)
    truth = generator.standard_normal((12, 3))
    sets = [generator.standard_normal((count, 12)) for count in (rows, 200)]
    found = [moments_of(each, each @ truth + noise * generator.standard_normal((len(each), 3))) for each in sets]
    return found[0], found[1], truth[None] + 0.3 * generator.standard_normal((1, 12, 3))


@pytest.mark.parametrize("rows", [6, 13, 40, 400])
@pytest.mark.parametrize("noise", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_one_valley_the_deepest_place_is_found(rows: int, noise: float, seed: int) -> None:
    fit, check, start = drawn(rows, noise, seed)
    residuals = [check.residual(ridge_regression(fit, start, ridge)) for ridge in RIDGES]
    valleys = np.diff(np.sign(np.diff(residuals)))
    assert (valleys >= 0).all(), "these residuals have one valley"

    found = best_answer(fit, check, start)

    assert check.residual(found) == min([*residuals, check.residual(start)])


def test_a_direction_that_rounding_left_below_zero_is_eliminated() -> None:
    gram = np.diag([2.0, 1.0, -0.5])[None]
    cross = np.array([[2.0], [3.0], [1.0]])[None]

    np.testing.assert_allclose(module._solve(gram, cross), np.array([[1.0], [3.0], [-2.0]])[None])


def test_where_nothing_is_a_number_the_weights_stay() -> None:
    start = np.ones((1, 3, 2))
    nothing = Moments(np.full((1, 3, 3), np.nan), np.full((1, 3, 2), np.nan), np.nan)

    assert best_answer(nothing, nothing, start) is start
