"""Blocks, and what lies inside of them: looked at where blocks do not reach, and never taken twice."""

from __future__ import annotations

import dataclasses

import pytest

from engine.errors import NothingToCut, RecipeInvalid, TargetInfeasible
from engine.graph.model import Model
from engine.graph.units import Unit
from engine.planning import (
    Ledger,
    Plan,
    decisions,
    is_easy,
    open_ledger,
    plan_cuts,
    removable,
    require_known,
    require_some,
    whole_blocks,
)
from engine.recipe import LatencyMs, LatencyRatio, Pareto, Target, Units
from engine.report import Interval
from engine.search import Priced
from tests.engine.planning.conftest import unit

NO_MODEL: Model = None  # type: ignore[assignment]  # a target in time never looks at the graph

OUTER = dataclasses.replace(unit("block"), nodes=("first", "relu", "second"))
INNER = [dataclasses.replace(unit(name), kind="run", nodes=(), target=f"{name}_out") for name in ("first", "second")]
ALONE = dataclasses.replace(unit("stem"), kind="run", nodes=())
ALL = [OUTER, *INNER, ALONE]
SAVES = {"block": 0.3, "first": 0.14, "second": 0.14, "stem": 0.2}
HARM = {"block": 0.5, "first": 0.01, "second": 0.02, "stem": 0.1}


def ledger_for(target: Target, units: list[Unit]) -> Ledger:
    shares = {name: Interval(value=saved, low=saved, high=saved) for name, saved in SAVES.items()}
    return open_ledger(NO_MODEL, units, HARM, shares, target, original_ms=10.0, image_shapes={})


def plan_for(ledger: Ledger) -> Plan:
    priced = Priced(lambda names: sum(HARM[name] for name in names), calls=9)
    return plan_cuts(ledger, priced, None, lambda fraction, message: None)


def named(units: tuple[Unit, ...]) -> list[str]:
    return [one.name for one in units]


def test_whole_blocks_are_the_outermost_branches() -> None:
    inner = dataclasses.replace(unit("second"), nodes=())

    assert whole_blocks([OUTER, inner, ALONE]) == [OUTER]


@pytest.mark.parametrize(
    ("target", "easy"),
    [
        (LatencyRatio(latency_ratio=0.9), True),
        (LatencyRatio(latency_ratio=0.75), False),
        (Units(units=1), True),
        (Units(units=2), True),
        (Pareto(pareto=2), False),
    ],
)
def test_what_whole_blocks_hardly_reach_is_not_easy(target: Target, easy: bool) -> None:
    """One block that saves 0.3: a tenth is easy, a quarter leaves no choice, and no front is made of one block."""
    assert is_easy(target, {"block": 1.0 if isinstance(target, Units) else 0.3}, original_ms=10.0) is easy


def test_parts_of_a_block_go_where_they_harm_less_than_the_block() -> None:
    plan = plan_for(ledger_for(LatencyRatio(latency_ratio=0.75), ALL))

    assert named(plan.units) == ["first", "second"]
    assert plan.predicted_latency_ratio == pytest.approx(0.72)


def test_a_block_and_its_parts_are_never_counted_together() -> None:
    """All of it saves half: the block and the stem. Its parts are inside the block."""
    plan = plan_for(ledger_for(LatencyRatio(latency_ratio=0.5), ALL))

    assert named(plan.units) == ["block", "stem"]
    with pytest.raises(TargetInfeasible, match=r"save 0\.5") as refused:
        ledger_for(LatencyRatio(latency_ratio=0.45), ALL)
    assert '"latency_ratio": 0.50' in refused.value.message


def test_a_target_is_refused_only_when_all_that_could_go_is_not_enough() -> None:
    with pytest.raises(TargetInfeasible):
        ledger_for(LatencyRatio(latency_ratio=0.6), [OUTER])

    assert named(plan_for(ledger_for(LatencyRatio(latency_ratio=0.6), ALL)).units) == ["first", "second", "stem"]


@pytest.mark.parametrize("target", [Pareto(pareto=4), LatencyRatio(latency_ratio=0.95), LatencyMs(latency_ms=9.5)])
def test_where_nothing_surely_saves_what_may_is_tried(target: Target) -> None:
    """The block may save 0.03, as each of its parts, and so may the stem: all that could go may save 0.09."""
    unsure = {name: Interval(value=0.01, low=-0.01, high=0.03) for name in SAVES}

    ledger = open_ledger(NO_MODEL, ALL, HARM, unsure, target, original_ms=10.0, image_shapes={})

    assert ledger.savings == dict.fromkeys(SAVES, 0.03)
    assert plan_for(ledger).units or isinstance(target, Pareto)


@pytest.mark.parametrize(
    ("target", "high"), [(LatencyRatio(latency_ratio=0.5), 0.03), (Pareto(pareto=4), -0.01), (Pareto(pareto=4), 0.0)]
)
def test_what_cannot_even_be_hoped_for_is_refused(target: Target, high: float) -> None:
    nothing = {name: Interval(value=-0.02, low=-0.03, high=high) for name in SAVES}

    with pytest.raises(TargetInfeasible, match=r"\(4 of them nothing that is surely above zero\)"):
        open_ledger(NO_MODEL, ALL, HARM, nothing, target, original_ms=10.0, image_shapes={})


def test_the_report_says_that_a_part_goes_with_its_block() -> None:
    ledger = ledger_for(LatencyRatio(latency_ratio=0.5), ALL)

    lines = decisions(ALL, ledger, plan_for(ledger), gained=True)

    assert [line.decision for line in lines] == ["cut", "cut", "cut", "cut"]
    assert lines[1].reason == "it lies inside another unit that goes"


def test_a_block_around_a_kept_part_stays() -> None:
    assert named(tuple(removable(ALL, ["second"]))) == ["first", "stem"]


def test_where_nothing_can_go_it_is_said_what_would_be_needed() -> None:
    with pytest.raises(NothingToCut, match="no run of layers"):
        require_some({"units"}, [], [], [])
    with pytest.raises(NothingToCut, match="no group of channels that linear layers alone sum over"):
        require_some({"channels"}, [ALONE], [], [])
    with pytest.raises(NothingToCut, match=r"no run of layers.* and no group of channels"):
        require_some({"units", "channels"}, [], [], [])
    with pytest.raises(NothingToCut, match="keeps everything that could go"):
        require_some({"units"}, removable([ALONE], ["stem"]), [], ["stem"])
    with pytest.raises(RecipeInvalid, match="did you mean 'stem'"):
        require_known(["stemm"], [one.name for one in ALL])
