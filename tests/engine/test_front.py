"""The law of a front: nobody on it is dominated, nobody off it is missed, and no test image has a say in that."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.front import Measured, choose_front, knee
from engine.outcome import judge_front
from engine.recipe import Pareto
from engine.report import Interval, Outcome


def measured(ratio: float, error: float, agreement: float | None = None, width: float = 0.01) -> Measured:
    return Measured(Interval(value=ratio, low=ratio - width, high=ratio + width), error, agreement)


few = st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8])  # few values, so that equals are drawn as well
anything = st.builds(
    measured,
    st.one_of(few, st.floats(0.05, 1.2)),
    st.one_of(few, st.floats(0, 1)),
    st.one_of(st.none(), st.floats(0, 1)),
)


def point(one: Measured) -> tuple[float, float]:
    return one.ratio.value, one.error


def beats(one: Measured, other: Measured) -> bool:
    no_worse = one.ratio.value <= other.ratio.value and one.error <= other.error
    return no_worse and point(one) != point(other)


@given(found=st.lists(anything, min_size=1, max_size=12), floor=st.one_of(st.none(), st.floats(0, 1)))
def test_a_front_is_all_that_is_faster_and_not_dominated(found: list[Measured], floor: float | None) -> None:
    choice = choose_front(found, floor)

    kept = [found[place] for place in choice.kept]
    assert sorted([*choice.kept, *choice.dropped]) == list(range(len(found)))
    assert [one.ratio.value for one in kept] == sorted((one.ratio.value for one in kept), reverse=True)
    assert all(one.ratio.high < 1 for one in kept)
    assert not any(beats(one, other) for one in kept for other in kept)
    for place, reason in choice.dropped.items():
        one = found[place]
        equal_or_better = [
            other for other in kept if beats(other, one) or (other.ratio, other.error) == (one.ratio, one.error)
        ]
        assert one.ratio.high >= 1 or equal_or_better, reason
    assert not kept or choice.model in choice.kept


@given(found=st.lists(anything, min_size=1, max_size=8))
def test_the_agreement_has_no_say_in_who_is_on_the_front(found: list[Measured]) -> None:
    blind = [dataclasses.replace(one, agreement=None) for one in found]

    assert choose_front(found, None) == choose_front(blind, None)


def test_the_model_is_the_knee() -> None:
    found = [measured(0.8, 0.01), measured(0.6, 0.02), measured(0.5, 0.10)]

    assert knee(found, (0, 1, 2)) == 1
    assert choose_front(found, None).model == 1


@pytest.mark.parametrize(
    ("floor", "model", "outcome"),
    [(0.9, 1, Outcome.TARGET_MET), (0.97, 0, Outcome.TARGET_MET), (0.99, 0, Outcome.TARGET_MISSED_BEST_EFFORT)],
)
def test_with_a_floor_the_model_is_the_fastest_that_holds_it(floor: float, model: int, outcome: Outcome) -> None:
    found = [measured(0.8, 0.01, 0.98), measured(0.6, 0.02, 0.93), measured(0.5, 0.10, 0.7)]

    choice = choose_front(found, floor)

    assert choice.model == model
    assert judge_front(Pareto(pareto=3, min_agreement=floor), found, choice).outcome is outcome


def test_a_front_that_is_too_short_is_missed_and_says_how_long_it_is() -> None:
    found = [measured(0.8, 0.01), measured(0.7, 0.02), measured(0.75, 0.03)]

    verdict = judge_front(Pareto(pareto=3), found, choose_front(found, None))

    assert verdict.outcome is Outcome.TARGET_MISSED_BEST_EFFORT
    assert "asked for 3; delivered 2 networks at 0.80 to 0.70" in verdict.summary


@pytest.mark.parametrize(("ratio", "why"), [(0.999, "smaller than what could be told"), (1.2, "takes no time")])
def test_where_none_is_surely_faster_there_is_no_gain_and_a_reason(ratio: float, why: str) -> None:
    found = [measured(ratio + 0.1, 0.01), measured(ratio, 0.02)]

    choice = choose_front(found, None)
    verdict = judge_front(Pareto(pareto=2), found, choice)

    assert (choice.kept, choice.model) == ((), 1)
    assert verdict.outcome is Outcome.NO_GAIN
    assert why in verdict.summary
