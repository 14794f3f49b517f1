"""The greedy choice is that of trying every channel, and its moments are those of what channels add to outputs."""

from __future__ import annotations

import numpy as np
import pytest

from engine.methods.thinet import _contributions, greedy, rank
from tests.engine.pricing.readers import CASES, some_images, studied
from tests.engine.pricing.test_sums import read, weights_by_channel


def brute_force(moments: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[int]:
    order: list[int] = []
    while len(order) < len(moments):
        left = [channel for channel in range(len(moments)) if channel not in order]
        order.append(min(left, key=lambda c: moments[np.ix_([*order, c], [*order, c])].sum()))
    return order


@pytest.mark.parametrize("seed", range(20))
def test_each_step_adds_least_to_the_sum_of_what_is_gone(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = int(random.integers(2, 12))
    added = random.standard_normal((30, size)) + random.standard_normal((30, 1))

    assert greedy(added.T @ added) == brute_force(added.T @ added)


def test_channels_that_cancel_go_together() -> None:
    """Each of the first two adds much, and both together little: where the one is gone the other follows."""
    one, other = np.random.default_rng(0).standard_normal((2, 40))
    added = np.stack([0.9 * other, 2 * one, -2 * one, other], axis=1)

    order = greedy(added.T @ added)

    assert order[0] == 0
    assert order.index(2) == order.index(1) + 1


@pytest.mark.parametrize("name", CASES)
def test_moments_are_those_of_what_each_channel_adds_to_each_output(name: str) -> None:
    """Over places and taps of a channel first, then over rows and outputs; several readers add up."""
    case = CASES[name]
    model = case.build()
    found = studied(model, case.name)
    total = np.zeros((case.size, case.size))
    for one in found.sums:
        seen, weights = read(model, one, case, some_images(model, 12)), weights_by_channel(model, one, case)
        added = np.einsum("rcn,cno->rco", seen, weights)
        direct = np.einsum("rco,rdo->cd", added, added) / one.fit.power

        moments = _contributions(one)

        assert np.abs(moments - direct).max() <= 1e-4 * np.abs(direct).max()
        total += direct

    order = rank(found)
    assert sorted(order) == list(range(case.size))
    assert order[0] == int(np.diag(total).argmin())
