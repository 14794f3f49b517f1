"""Which units go, in every currency, and what is said when it cannot be done. No network is run here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import inf
from time import sleep

import pytest

from engine.errors import RecipeInvalid, TargetInfeasible
from engine.graph.cuts import Cut
from engine.graph.model import Model
from engine.graph.units import Unit
from engine.planning import Ledger, Plan, decisions, open_ledger, plan_cuts, removable, require_known
from engine.planning.plans import MeasureCuts
from engine.recipe import LatencyMs, LatencyRatio, Target, Units
from engine.report import Interval
from engine.search import Priced, Purse
from tests.engine.planning.conftest import unit

NO_MODEL: Model = None  # type: ignore[assignment]  # a target in time or in units never looks at the graph


UNITS = [unit(name) for name in "abcd"]
HARM = {"a": 0.01, "b": 0.02, "c": 0.50, "d": 0.0}
SHARES = {
    "a": Interval(value=0.10, low=0.09, high=0.11),
    "b": Interval(value=0.10, low=0.09, high=0.11),
    "c": Interval(value=0.30, low=0.29, high=0.31),
    "d": Interval(value=0.20, low=-0.10, high=0.50),
}


def ledger_for(target: Target) -> Ledger:
    return open_ledger(NO_MODEL, UNITS, HARM, SHARES, target, original_ms=10.0, image_shapes={})


def plan_for(ledger: Ledger, measured: MeasureCuts | None = None) -> Plan:
    """Plan where the harm of a set is the sum of its units' harms."""
    return plan_cuts(ledger, Priced(lambda cut: sum(HARM[name] for name in cut), calls=20), measured, quiet)


def names(units: Sequence[Unit]) -> list[str]:
    return [chosen.name for chosen in units]


def quiet(fraction: float, message: str) -> None:
    assert 0 <= fraction <= 1
    assert message


def test_a_share_that_may_be_zero_never_wins() -> None:
    """Unit d costs no accuracy and seems to save most, but its interval reaches below zero."""
    plan = plan_for(ledger_for(LatencyRatio(latency_ratio=0.8)))

    assert names(plan.units) == ["a", "b"]
    assert plan.predicted_latency_ratio == pytest.approx(0.8)


def test_milliseconds_are_a_ratio_of_what_the_original_takes() -> None:
    by_ratio = plan_for(ledger_for(LatencyRatio(latency_ratio=0.6)))
    by_ms = plan_for(ledger_for(LatencyMs(latency_ms=6.0)))

    assert names(by_ms.units) == names(by_ratio.units)


def test_units_are_counted_whatever_they_save() -> None:
    plan = plan_for(ledger_for(Units(units=2)))

    assert names(plan.units) == ["a", "d"]


@pytest.mark.parametrize(
    ("target", "nearest"),
    [
        (LatencyRatio(latency_ratio=0.3), '"latency_ratio": 0.50'),
        (LatencyMs(latency_ms=2.0), '"latency_ms": 5'),
        (Units(units=9), '"units": 4'),
    ],
)
def test_an_impossible_target_names_the_nearest_possible_one(target: Target, nearest: str) -> None:
    with pytest.raises(TargetInfeasible) as refused:
        ledger_for(target)

    assert nearest in refused.value.message


def test_a_target_that_holds_already_is_refused() -> None:
    with pytest.raises(TargetInfeasible, match="already runs in 10 ms"):
        ledger_for(LatencyMs(latency_ms=12.0))


def test_what_was_measured_corrects_what_was_predicted() -> None:
    """Every unit really saves half of its share, so more of them must go than the table asks for."""
    ledger = ledger_for(LatencyRatio(latency_ratio=0.85))

    plan = plan_for(ledger, lambda units: sum(SHARES[u.name].value for u in units) / 2)

    assert sum(SHARES[u.name].value for u in plan.units) / 2 >= 0.15


CUTS = [unit(f"u{place}") for place in range(40)]
EACH = {cut.name: 0.01 + 0.001 * place for place, cut in enumerate(CUTS)}


def of_forty(needed: float) -> Ledger:
    """Forty cuts of a hundredth of the latency each."""
    shares = {cut.name: Interval(value=0.01, low=0.009, high=0.011) for cut in CUTS}
    return Ledger(tuple(CUTS), EACH, shares, dict.fromkeys(EACH, 0.01), needed)


def sum_of(names: frozenset[str]) -> float:
    return sum(EACH[name] for name in names)


@pytest.mark.parametrize("really", [0.7, 1.4])
@pytest.mark.parametrize(("calls", "seconds"), [(1, inf), (2, inf), (20, inf), (20, 1e-9)])
def test_a_plan_is_corrected_also_when_all_prices_are_used_up(calls: int, seconds: float, really: float) -> None:
    """Together they save more, or less, than the sum: no more go than are needed, and as many prices tell it again."""
    priced = Priced(sum_of, calls, seconds, Purse(6))

    def measured(taken: Sequence[Cut]) -> float:
        return 0.01 * really * len(taken)

    plan = plan_cuts(of_forty(0.2), priced, measured, quiet)

    assert 0.2 - 1e-9 <= 1 - plan.predicted_latency_ratio <= 0.2 + 2 * 0.01 * really
    assert priced.usual.counted <= calls
    assert priced.spare.counted <= 6
    again = Priced(sum_of, priced.usual.counted, inf, Purse(priced.spare.counted))
    assert plan_cuts(of_forty(0.2), again, measured, quiet) == plan
    assert list(again.known) == list(priced.known)


def test_between_too_little_and_too_much_a_plan_is_looked_for() -> None:
    """In proportion to 27 cuts that save twice what they should, 14 would do; and 20 are known to be too few."""

    def measured(taken: Sequence[Cut]) -> float:
        return {20: 0.15, 27: 0.41}.get(len(taken), 0.009 * len(taken))

    plan = plan_cuts(of_forty(0.2), Priced(sum_of, 20, spare=Purse(8)), measured, quiet)

    assert len(plan.cuts) == 23
    assert plan.predicted_latency_ratio == pytest.approx(1 - 0.207)


@pytest.mark.parametrize("size", [0.15, 0.07, 0.04])
def test_a_table_that_is_right_is_believed_however_coarse_the_cuts(size: float) -> None:
    """Nothing between too few cuts and enough of them is left to ask for, and no plan is timed for that."""
    shares = {cut.name: Interval(value=size, low=size, high=size) for cut in CUTS}
    ledger = Ledger(tuple(CUTS), EACH, shares, dict.fromkeys(EACH, size), 0.3)
    timed = []

    def measured(taken: Sequence[Cut]) -> float:
        timed.append(len(taken))
        return size * len(taken)

    plan = plan_cuts(ledger, Priced(sum_of, 20, spare=Purse(8)), measured, quiet)

    assert timed == [math.ceil(0.3 / size - 1e-9)]
    assert len(plan.cuts) == timed[0]


def test_all_there_is_is_timed_once() -> None:
    timed = []

    def measured(taken: Sequence[Cut]) -> float:
        timed.append(len(taken))
        return 0.1

    priced = Priced(sum_of, 20, spare=Purse(8))
    plan = plan_cuts(of_forty(0.4), priced, measured, quiet)

    assert timed == [40]
    assert len(plan.cuts) == 40
    assert priced.spare.counted <= 2


def test_spare_prices_end_with_their_time() -> None:
    """One that takes longer than is left for all of them is not begun."""
    priced = Priced(lambda names: sleep(0.01) or sum_of(names), 1, inf, Purse(6, 1e-3))

    plan_cuts(of_forty(0.2), priced, lambda taken: 0.014 * len(taken), quiet)

    assert (priced.usual.counted, priced.spare.counted) == (1, 0)


def test_the_best_effort_is_the_plan_that_saves_most() -> None:
    ledger = ledger_for(LatencyRatio(latency_ratio=0.6))

    plan = plan_for(ledger, lambda units: 0.01 * len(units))

    assert names(plan.units) == ["a", "b", "c"]


def test_where_no_cut_of_a_kind_saves_anything_its_plan_is_empty() -> None:
    """On a busy machine no whole block may surely save time, where a narrowed group does."""
    nothing = dict.fromkeys(HARM, 0.0)
    ledger = Ledger(tuple(UNITS), HARM, SHARES, nothing, needed=0.1)

    plan = plan_for(ledger, lambda cuts: 0.0)

    assert (plan.cuts, plan.predicted_latency_ratio) == ((), 1.0)


def test_a_kept_unit_stays_and_a_wrong_name_is_refused() -> None:
    assert names(removable(UNITS, ["b"])) == ["a", "c", "d"]
    require_known(["b", "group"], [*names(UNITS), "group"])
    with pytest.raises(RecipeInvalid, match="No unit and no group is called 'bb'"):
        require_known(["bb"], names(UNITS))


def test_every_unit_has_its_line_and_its_reason() -> None:
    ledger = ledger_for(LatencyRatio(latency_ratio=0.8))
    plan = plan_for(ledger)

    lines = decisions([*UNITS, unit("kept")], ledger, plan, gained=True)

    assert [(line.name, line.decision) for line in lines] == [
        ("a", "cut"),
        ("b", "cut"),
        ("c", "kept"),
        ("d", "kept"),
        ("kept", "kept"),
    ]
    assert lines[3].reason == "its saving is not surely above zero"
    assert lines[4].reason == "the recipe keeps it"
    assert lines[0].score == pytest.approx(0.1)
