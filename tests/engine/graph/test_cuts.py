"""Cuts of both kinds: what goes together, what goes with another anyway, and that the rest is a network that runs."""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from engine.execution.runtime import open_session, run
from engine.graph.channels.groups import find_groups
from engine.graph.channels.readings import likeness, nodes_around
from engine.graph.channels.remove import remove_channels
from engine.graph.cuts import Cut, Narrowing, channels_in, contains, narrowings_in, remove, units_in
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import blocks, find_units
from engine.planning.pools import pools
from engine.pricing.narrowing import make_ladder
from tests.engine.graph.same import assert_same
from tests.networks import NETWORKS, images


def say(model: Model) -> dict[str, NDArray[Any]]:
    return run(open_session(model), images(model))


def every_cut(model: Model) -> list[Cut]:
    """All units, and each group at all widths that are even."""
    ladders = [
        make_ladder(group, likeness(model, group), nodes_around(model, group), 2) for group in find_groups(model).groups
    ]
    return [*find_units(model), *(step for ladder in ladders if ladder is not None for step in ladder.steps)]


@pytest.mark.parametrize("name", ["residual", "inverted_residual", "nested", "nested_last", "transformer", "plain"])
def test_to_hold_another_is_a_strict_partial_order(name: str) -> None:
    cuts = every_cut(normalise(NETWORKS[name][0]()))
    held = {(a, b) for a, b in product(range(len(cuts)), repeat=2) if contains(cuts[a], cuts[b])}

    assert held
    assert not any((b, a) in held for a, b in held)  # nor does any hold itself
    assert all((a, d) in held for a, b in held for c, d in held if b == c)


@pytest.mark.parametrize("name", ["residual", "inverted_residual", "nested", "transformer"])
def test_a_unit_holds_the_groups_that_live_in_it_alone(name: str) -> None:
    """Without the unit nothing of the group is left; of all other groups something is."""
    model = normalise(NETWORKS[name][0]())
    cuts = every_cut(model)
    for unit, step in product(units_in(cuts), narrowings_in(cuts)):
        left = {*remove_units(model, [unit]).nodes()} & step.nodes

        assert contains(unit, step) == (not left)
        assert not contains(step, unit)


def test_more_channels_of_a_group_hold_fewer_and_those_of_others_never() -> None:
    narrow = Narrowing("g: 2 of 6", "g", 6, (0, 2, 4, 5), frozenset({"a"}))
    wide = dataclasses.replace(narrow, name="g: 4 of 6", channels=(0, 5))

    assert narrow.kept == 2
    assert contains(narrow, wide)
    assert not contains(wide, narrow)
    assert not contains(narrow, narrow)
    assert not contains(narrow, dataclasses.replace(wide, channels=(0, 1)))
    assert not contains(narrow, dataclasses.replace(wide, group="h"))
    assert channels_in([wide, narrow, dataclasses.replace(wide, group="h")]) == {"g": (0, 2, 4, 5), "h": (0, 5)}


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in ("half_weights", "shared_weights")][::2])
def test_units_and_channels_go_together_in_any_order(name: str) -> None:
    """What is left is a network that runs, the same whichever went first, of the same inputs and outputs."""
    model = normalise(NETWORKS[name][0]())
    random = np.random.default_rng(0)
    groups = [group for group in find_groups(model).groups if group.size > 1]
    steps = [
        Narrowing(group.name, group.name, group.size, tuple(random.permutation(group.size)[: group.size // 2]), around)
        for group in groups
        for around in [nodes_around(model, group)]
    ]
    units = [unit for unit in blocks(find_units(model)) if unit.kind == "branch"][:1]
    alive = [step for step in steps if not any(contains(unit, step) for unit in units)]

    left = remove(model, [*alive, *units])

    onnx.checker.check_model(onnx.load_model_from_string(left.to_bytes()), full_check=True)
    assert_same(say(left), say(remove_units(remove_channels(model, channels_in(alive)), units)))
    assert_same(say(remove(model, [*steps, *units])), say(left))
    assert [info.name for info in left.outputs] == [info.name for info in model.outputs]


def test_a_run_excludes_the_groups_at_one_end_of_it() -> None:
    """Three layers one behind the other: each one's channels end in the next, and its own group starts there."""
    model = normalise(NETWORKS["plain"][0]())
    cuts, groups = every_cut(model), {group.name: group for group in find_groups(model).groups}

    without_steps, without_runs = pools(cuts, groups)

    runs = {unit.name for unit in units_in(cuts) if unit.kind == "run"}
    assert runs <= {cut.name for cut in without_steps}
    assert not runs & {cut.name for cut in without_runs}
    assert set(narrowings_in(without_runs)) == set(narrowings_in(cuts))
    for run_, step in product(units_in(without_steps), narrowings_in(without_steps)):
        if run_.kind == "run":
            remove(model, [run_, step])  # or their ends would not fit
    assert pools(without_runs, groups) == [tuple(without_runs)]
