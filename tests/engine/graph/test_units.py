"""Units are found from the graph alone, and found again whatever things are called."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import Unit, contains, find_units, signature
from tests.networks import NETWORKS, WITH_UNITS, nested, nested_last, residual, transformer


def rename_everything(model: Model, seed: int) -> tuple[Model, dict[str, str]]:
    """Return a copy with a random name for each node and value, and the new name of each old one."""
    renamed = model.copy()
    everything = [*renamed.nodes().items(), *renamed.values().items()]
    numbers = random.Random(seed).sample(range(10_000), len(everything))
    names: dict[str, str] = {}
    for (old, thing), number in zip(everything, numbers, strict=True):
        thing.name = names[old] = f"n{number}"
    return renamed, names


def translate(unit: Unit, names: dict[str, str]) -> Unit:
    return Unit(
        name=names[unit.name],
        source=names[unit.source],
        target=names[unit.target],
        nodes=tuple(names[node] for node in unit.nodes),
        join=names[unit.join],
        branch=names[unit.branch],
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_is_found_and_nothing_else(name: str) -> None:
    build, wanted = NETWORKS[name]

    units = find_units(normalise(build()))

    assert len(units) == wanted


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", WITH_UNITS)
def test_renaming_everything_gives_the_same_units(name: str, seed: int) -> None:
    model = normalise(NETWORKS[name][0]())
    renamed, names = rename_everything(model, seed)

    found = find_units(renamed)

    assert found == [translate(unit, names) for unit in find_units(model)]
    assert [signature(renamed, unit) for unit in found] == [signature(model, unit) for unit in find_units(model)]


@pytest.mark.parametrize("name", WITH_UNITS)
def test_sources_come_in_topological_order(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    order = list(model.values())

    places = [order.index(unit.source) for unit in find_units(model)]

    assert places == sorted(places)


def test_equal_blocks_share_a_signature_and_others_do_not() -> None:
    blocks, mixed = normalise(residual()), normalise(transformer())

    assert len({signature(blocks, unit) for unit in find_units(blocks)}) == 1
    assert len({signature(mixed, unit) for unit in find_units(mixed)}) == 2


@pytest.mark.parametrize("build", [nested, nested_last])
def test_a_unit_in_the_branch_of_another_is_contained_in_it(build: Callable[[], Model]) -> None:
    outer, inner = find_units(normalise(build()))

    assert contains(outer, inner)
    assert not contains(inner, outer)
    assert not contains(outer, outer)


def test_neighbours_contain_each_other_not() -> None:
    units = find_units(normalise(residual()))

    assert not any(contains(a, b) for a in units for b in units)


def test_a_unit_names_its_parts() -> None:
    """Source, branch and target are values, and the nodes are those between, without the join."""
    model = normalise(residual())
    first = find_units(model)[0]
    join = model.nodes()[first.join]

    assert {value.name for value in join.inputs if value is not None} == {first.source, first.branch}
    assert join.outputs[0].name == first.target
    assert [model.nodes()[node].op_type for node in first.nodes] == ["Conv", "Relu", "Conv"]
