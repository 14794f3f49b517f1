"""A front on made-up networks: evenly spread, nested where that harms little, and no plan worse than another."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import pytest

from engine.graph.units import Unit
from engine.planning import Ledger, plan_front
from engine.report import Interval
from engine.search import Price, Priced
from tests.engine.planning.conftest import made_up_ledger, unit


def growing(ledger: Ledger) -> Price:
    """Return a harm that grows faster than the sum: each unit that goes makes the others dearer."""
    return lambda names: sum(ledger.harm[name] for name in names) * (1 + 0.1 * len(names))


@pytest.mark.parametrize("seed", range(6))
def test_a_front_of_twenty_units_has_its_plans_and_none_is_worse_than_another(seed: int) -> None:
    ledger = made_up_ledger(20, seed, most_harm=0.02)

    plans = plan_front(ledger, Priced(growing(ledger), 48), None, 10)

    assert 8 <= len(plans) <= 10
    for slow, fast in pairwise(plans):
        assert fast.predicted_latency_ratio < slow.predicted_latency_ratio
        assert fast.harm > slow.harm
    ratios = [1.0, *(plan.predicted_latency_ratio for plan in plans)]
    assert max(slow - fast for slow, fast in pairwise(ratios)) < 0.25


@pytest.mark.parametrize("seed", range(6))
def test_most_plans_hold_the_one_before(seed: int) -> None:
    ledger = made_up_ledger(20, seed, most_harm=0.02)

    plans = plan_front(ledger, Priced(growing(ledger), 48), None, 10)

    nested = [set(before.units) <= set(after.units) for before, after in pairwise(plans)]
    assert sum(nested) >= 0.6 * len(nested)


@pytest.mark.parametrize("seed", range(3))
def test_seven_units_make_more_plans_than_a_chain_of_them(seed: int) -> None:
    ledger = made_up_ledger(7, seed, most_harm=0.02)

    plans = plan_front(ledger, Priced(growing(ledger), 48), None, 10)

    assert len(plans) >= 8


def test_too_few_blocks_make_half_steps() -> None:
    """Four blocks with two parts each, dearer than the whole: each half step lies between two plans and within both."""
    whole = [dataclasses.replace(unit(name), nodes=(f"{name}1", f"{name}2")) for name in "abcd"]
    parts = [dataclasses.replace(unit(f"{one.name}{n}"), nodes=(f"{one.name}{n}",)) for one in whole for n in (1, 2)]
    saving = {one.name: 0.1 for one in whole} | {one.name: 0.05 for one in parts}
    harm = {one.name: 0.01 * number for number, one in enumerate(whole, start=1)} | {one.name: 0.3 for one in parts}
    shares = {name: Interval(value=share, low=share, high=share) for name, share in saving.items()}
    ledger = Ledger((*whole, *parts), harm, shares, saving, needed=0.0)

    plans = plan_front(ledger, Priced(growing(ledger), 48), None, 7)

    assert len(plans) == 7
    steps = [plan for plan in plans if any(len(one.nodes) == 1 for one in plan.units)]
    assert steps
    for slow, fast in pairwise(plans):
        nodes = [{node for one in plan.units for node in one.nodes} for plan in (slow, fast)]
        assert nodes[0] < nodes[1]
        assert fast.predicted_latency_ratio < slow.predicted_latency_ratio


def test_a_front_ends_where_little_is_left() -> None:
    """Twenty units of 0.1 each: five may go before more than half is lost, and no more do where those are enough."""
    ledger = made_up_ledger(20, 0)

    plans = plan_front(ledger, Priced(lambda names: 0.1 * len(names), 48), None, 4)

    assert len(plans) == 4
    assert max(len(plan.units) for plan in plans) <= 5


@pytest.mark.parametrize(("each", "most_units"), [(0.1, 10), (0.2, 5), (0.3, 3)])
def test_too_short_a_front_goes_on_as_long_as_anything_is_left(each: float, most_units: int) -> None:
    ledger = made_up_ledger(20, 0)

    plans = plan_front(ledger, Priced(lambda names: each * len(names), 48), None, 10)

    assert max(len(plan.units) for plan in plans) == min(most_units, 10)
    assert max(plan.harm for plan in plans) <= 1 + 1e-9


@pytest.mark.parametrize("calls", [0, 1, 5])
def test_a_front_without_prices_ends_by_what_is_expected(calls: int) -> None:
    """Thirty units of 0.05 each add up: what is not priced is not worth having for that."""
    ledger = dataclasses.replace(made_up_ledger(30, 0), harm={f"u{row}": 0.05 for row in range(30)})

    plans = plan_front(ledger, Priced(lambda names: 0.05 * len(names), calls), None, 4)

    assert 0.3 <= max(plan.harm for plan in plans) <= 0.55


def test_of_equal_plans_one_is_made_and_of_unequal_ones_none_that_is_worse() -> None:
    """Twelve units in three kinds that save alike, so that many sets do."""
    ledger = made_up_ledger(12, 1)
    saving = {name: 0.03 + 0.02 * (row % 3) for row, name in enumerate(ledger.harm)}
    shares = {name: Interval(value=share, low=share, high=share) for name, share in saving.items()}
    ledger = dataclasses.replace(ledger, savings=saving, shares=shares)

    plans = plan_front(ledger, Priced(growing(ledger), 48), None, 10)

    for slow, fast in pairwise(plans):
        assert fast.predicted_latency_ratio < slow.predicted_latency_ratio - 1e-9
        assert fast.harm > slow.harm


def test_what_the_middle_plan_was_measured_to_save_corrects_all() -> None:
    ledger = made_up_ledger(12, 0, most_harm=0.02)

    plans = plan_front(ledger, Priced(growing(ledger), 48), lambda units: 0.9 * ledger.share_of(names(units)), 6)

    for plan in plans:
        assert 1 - plan.predicted_latency_ratio == pytest.approx(0.9 * ledger.share_of(names(plan.units)))


def test_as_many_prices_make_the_same_front() -> None:
    for seed in range(4):
        ledger = made_up_ledger(15, seed)
        first = Priced(growing(ledger), 23)

        plans = plan_front(ledger, first, None, 10)

        assert plan_front(ledger, Priced(growing(ledger), first.usual.counted), None, 10) == plans


def names(units: Sequence[Unit]) -> list[str]:
    return [unit.name for unit in units]
