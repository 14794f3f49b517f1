"""What a budget allows: more of it never less, and for a larger network it is short sooner."""

from __future__ import annotations

import pytest

from engine.allowance import AMPLE, AMPLE_SECONDS, MACS_A_SECOND, PASSES_MIN, allowance
from engine.measure.cost import count
from tests.networks import NETWORKS

SHAPES = {"image": (3, 16, 16)}
BUDGETS = (1e-3, 1.0, 57.0, 300.0, 600.0, 3600.0)


def test_a_longer_budget_allows_no_less() -> None:
    model = NETWORKS["residual"][0]()

    found = [allowance(model, SHAPES, seconds) for seconds in BUDGETS]

    parts = [one.part for one in found]
    assert parts == sorted(parts)
    assert all(0 < part <= 1 for part in parts)
    assert [one.is_short for one in found] == sorted((one.is_short for one in found), reverse=True)
    assert (found[-1].part, found[-1].is_short) == (AMPLE.part, AMPLE.is_short)


@pytest.mark.parametrize("size", [16, 32])
def test_a_budget_is_short_below_so_many_passes_of_the_network(size: int) -> None:
    model, shapes = NETWORKS["plain"][0](), {"image": (3, size, size)}
    passes_seconds = PASSES_MIN * count(model, shapes).macs / MACS_A_SECOND

    assert allowance(model, shapes, 0.99 * passes_seconds).is_short
    assert not allowance(model, shapes, 1.01 * passes_seconds).is_short
    assert allowance(model, shapes, 1.0).short_seconds == pytest.approx(passes_seconds)
    assert allowance(model, shapes, 0.99 * passes_seconds).part == pytest.approx(0.99 * passes_seconds / AMPLE_SECONDS)
    assert allowance(model, shapes, 1.01 * passes_seconds).part == 1


@pytest.mark.parametrize("share", [0.25, 0.8])
def test_a_part_of_a_budget_allows_what_a_budget_of_that_part_does(share: float) -> None:
    model = NETWORKS["plain"][0]()

    for seconds in BUDGETS:
        of_part, alone = allowance(model, SHAPES, seconds, share), allowance(model, SHAPES, share * seconds)
        assert (of_part.part, of_part.is_short) == (alone.part, alone.is_short)
        assert of_part.short_seconds == pytest.approx(alone.short_seconds / share)
