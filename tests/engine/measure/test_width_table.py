"""What widths save: measured for a kind at two of them, shared among its members, and drawn between as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from engine.graph.channels.groups import find_groups
from engine.graph.channels.readings import likeness, nodes_around
from engine.graph.cuts import Cut, Narrowing, remove
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.measure import width_table
from engine.measure.cost import count
from engine.measure.width_table import width_shares
from engine.planning import narrowable
from engine.pricing.narrowing import make_ladder
from engine.recipe import Deploy
from engine.report import Interval
from tests.networks import Draft, stem

SHAPES = {"image": (3, 16, 16)}
SURE, LOST = 1e-6, 5.0
"""Half the width of what is measured, as a part of the whole: beyond doubt, and lost in the noise."""


def network() -> Model:
    """Two blocks of one shape, and one of another."""
    draft = Draft()
    x = stem(draft)
    for kernel in (3, 3, 1):
        y = draft.node("Relu", draft.conv(x, 8, 24, kernel=kernel))
        x = draft.node("Relu", draft.node("Add", x, draft.conv(y, 24, 8)))
    return normalise(draft.model(draft.classify(x)))


def kinds_of(model: Model) -> dict[str, list[Sequence[Narrowing]]]:
    kinds: dict[str, list[Sequence[Narrowing]]] = {}
    for group in narrowable(model, find_groups(model).groups, ()):
        ladder = make_ladder(group, likeness(model, group), nodes_around(model, group), 4)
        assert ladder is not None
        kinds.setdefault(ladder.kind, []).append(ladder.steps)
    return kinds


class FakeTimer:
    """Time is what `cost` says of a network's multiply-accumulates; `asked` are the sets that were timed."""

    asked: dict[str, Sequence[Cut]]
    half_width = SURE

    def __init__(self, model: Model, *_: Any) -> None:
        self.model = model

    @staticmethod
    def cost(part: float) -> float:
        return part

    def savings(self, without: Mapping[str, Sequence[Cut]], budget_seconds: float) -> dict[str, Interval]:
        type(self).asked = dict(without)
        whole = count(self.model, SHAPES).macs
        found = {}
        for name, cuts in without.items():
            saved = 1 - self.cost(count(remove(self.model, cuts), SHAPES).macs / whole)
            found[name] = Interval(value=saved, low=saved - self.half_width, high=saved + self.half_width)
        return found


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> type[FakeTimer]:
    class Timer(FakeTimer):
        pass

    monkeypatch.setattr(width_table, "SavingsTimer", Timer)
    return Timer


def shares_of(model: Model) -> dict[str, Interval]:
    return width_shares(model, kinds_of(model), Deploy(), SHAPES, seed=0, budget_seconds=1.0)


@pytest.mark.parametrize("power", [1.0, 0.5, 2.0])
def test_what_is_surely_measured_is_told_as_it_was(power: float, timer: type[FakeTimer]) -> None:
    """At the two widths that were timed each member has its equal part, and between lie straight lines from nothing."""
    model = network()
    timer.cost = staticmethod(lambda part: part**power)  # type: ignore[method-assign]
    kinds = kinds_of(model)

    shares = shares_of(model)

    assert sorted(map(len, kinds.values())) == [1, 2]
    whole = count(model, SHAPES).macs
    for members in kinds.values():
        timed = [(len(members[0]) - 1) // 2, len(members[0]) - 1]
        gone, saved = [0], [0.0]
        for at in timed:
            left = count(remove(model, [member[at] for member in members]), SHAPES).macs / whole
            gone.append(len(members[0][at].channels))
            saved.append((1 - left**power) / len(members))
        for member in members:
            for step in member:
                between = np.interp(len(step.channels), gone, saved)
                assert shares[step.name].value == pytest.approx(between, rel=1e-3)


def test_all_members_of_a_kind_go_at_once_and_all_kinds_together(timer: type[FakeTimer]) -> None:
    model = network()
    kinds = kinds_of(model)

    shares_of(model)

    sizes = {name: len(cuts) for name, cuts in timer.asked.items()}
    assert sorted(sizes.values()) == [1, 1, 2, 2, 3, 3]
    assert {step.name for cuts in timer.asked.values() for step in cuts} <= {
        step.name for members in kinds.values() for member in members for step in member
    }


def test_what_is_lost_in_the_noise_is_told_by_its_part_of_the_work(timer: type[FakeTimer]) -> None:
    """Kind by kind nothing can be told; all together save as many parts of the time as of the work."""
    model = network()

    def savings(self: FakeTimer, without: Mapping[str, Sequence[Cut]], budget_seconds: float) -> dict[str, Interval]:
        found = FakeTimer.savings(self, without, budget_seconds)
        noise = Interval(value=-0.2, low=-0.2 - LOST, high=-0.2 + LOST)
        return {name: true if name.startswith("all ") else noise for name, true in found.items()}

    timer.savings = savings  # type: ignore[method-assign]

    shares = shares_of(model)

    whole = count(model, SHAPES).macs
    for members in kinds_of(model).values():
        narrow = members[0][-1]
        gone = 1 - count(remove(model, [narrow]), SHAPES).macs / whole
        assert shares[narrow.name].value == pytest.approx(gone, rel=0.25)
        assert shares[narrow.name].low < shares[narrow.name].value < shares[narrow.name].high


def test_members_have_equal_shares_and_narrower_ones_save_more(timer: type[FakeTimer]) -> None:
    model = network()

    shares = shares_of(model)

    for members in kinds_of(model).values():
        values = [[shares[step.name].value for step in member] for member in members]
        assert all(each == values[0] for each in values)
        assert values[0] == sorted(values[0])
        assert values[0][0] > 0


def test_quickly_all_go_at_once_and_each_has_its_part_of_the_work(timer: type[FakeTimer]) -> None:
    """Of time that goes with the work that is what it takes; and whatever saves work is thought to save time."""
    model = network()
    kinds, whole = kinds_of(model), count(model, SHAPES).macs

    shares = width_shares(model, kinds, Deploy(), SHAPES, seed=0, budget_seconds=1.0, quickly=True)

    assert [len(cuts) for cuts in timer.asked.values()] == [3, 3]
    for members in kinds.values():
        for member in members:
            gone = 1 - count(remove(model, [member[-1]]), SHAPES).macs / whole
            assert shares[member[-1].name].value == pytest.approx(gone, rel=1e-6)
            assert all(0 < shares[step.name].low < shares[step.name].high for step in member)
