"""Which pools of cuts are searched, and in which order, when prices are few. No network is run here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from engine.planning import Ledger
from engine.planning.choosing import HOPELESS, promising
from engine.search import Price, Priced
from tests.engine.planning.conftest import made_up_ledger

WHOLE = dataclasses.replace(made_up_ledger(12, seed=0), needed=0.15)
FIRST, SECOND = WHOLE.only(WHOLE.cuts[:6]), WHOLE.only(WHOLE.cuts[6:])


def dearer(times: float) -> Price:
    """Return a price by which the cuts of the first pool harm so many times what is told of them."""
    firsts = names(FIRST)

    def price(cuts: Iterable[str]) -> float:
        return sum(WHOLE.harm[name] * (times if name in firsts else 1.0) for name in cuts)

    return price


def names(ledger: Ledger) -> set[str]:
    return {cut.name for cut in ledger.cuts}


@pytest.mark.parametrize("times", [10.0, 0.1])
def test_a_pool_whose_first_plan_is_hopeless_has_no_more_than_one_price(times: float) -> None:
    priced = Priced(dearer(times), calls=9)

    (left,) = promising([FIRST, SECOND], priced)

    assert names(left) == names(SECOND if times > HOPELESS else FIRST)
    assert len(priced.known) == 2


def test_a_pool_that_is_nearly_as_good_is_searched_after_the_better_one() -> None:
    harms = [min(dearer(1.0)(known) for known in _first(pool)) for pool in (FIRST, SECOND)]
    even = harms[1] / harms[0]

    for times, order in ((1.5 * even, [SECOND, FIRST]), (even / 1.5, [FIRST, SECOND])):
        found = promising([FIRST, SECOND], Priced(dearer(times), calls=9))
        assert [names(pool) for pool in found] == [names(pool) for pool in order]


def _first(pool: Ledger) -> list[frozenset[str]]:
    priced = Priced(dearer(1.0), calls=9)
    promising([pool, WHOLE], priced)
    return [known for known in priced.known if known <= names(pool)]


def test_a_pool_that_cannot_save_enough_is_left_out_and_both_stay_where_neither_can() -> None:
    poor = WHOLE.only(WHOLE.cuts[:2])

    assert promising([poor, SECOND], Priced(dearer(1.0), calls=9)) == [SECOND]
    assert len(promising([poor, poor], Priced(dearer(1.0), calls=9))) == 2


def test_without_a_price_pools_are_compared_by_the_sum_of_their_harms() -> None:
    found = promising([FIRST, SECOND], Priced(dearer(10.0), calls=0))

    assert {frozenset(names(pool)) for pool in found} == {frozenset(names(pool)) for pool in (FIRST, SECOND)}
