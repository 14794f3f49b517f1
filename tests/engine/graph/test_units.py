"""Units are found from the graph alone, and found again whatever things are called."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import onnx
import onnx_ir as ir
import pytest

from engine.graph.folds import fold
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.shapes import infer_shapes
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, activations, blocks, contains, find_units, signature
from tests.engine.graph.random_graphs import STEPS, Plan, grow
from tests.networks import (
    CHANNELS,
    NETWORKS,
    WITH_UNITS,
    Draft,
    nested,
    nested_last,
    plain,
    residual,
    residual_with_batch_norm,
    stem,
    transformer,
)


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
        kind=unit.kind,
    )


def of_kind(model: Model, kind: str) -> list[Unit]:
    return [unit for unit in find_units(model) if unit.kind == kind]


def random_graph(seed: int) -> Model:
    choose = random.Random(seed)
    steps = [(choose.choice(sorted(STEPS)), choose.randrange(2**20)) for _ in range(choose.randint(2, 5))]
    return normalise(grow(Plan(seed, 18, seed % 2 == 0, tuple(steps))))


OTHERS = {
    "residual": (6, 0),
    "residual_with_batch_norm": (4, 0),
    "inverted_residual": (2, 0),
    "squeeze_excite": (2, 1),
    "transformer": (4, 1),
    "shared_weights": (0, 0),
    "source_is_input": (0, 0),
    "clutter": (2, 0),
    "windows": (0, 0),
    "projected_skip": (3, 0),
    "leaking_branch": (2, 0),
    "broadcast_branch": (1, 0),
    "path_round_the_source": (1, 0),
    "dense": (0, 0),
    "plain": (3, 0),
}
"""Runs and activations, counted by hand: inside of branches too; depthwise layers, projections of an attention."""


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_is_found_and_nothing_else(name: str) -> None:
    build, wanted = NETWORKS[name]

    units = of_kind(normalise(build()), "branch")

    assert len(units) == wanted


@pytest.mark.parametrize("name", OTHERS)
def test_every_run_and_activation_is_found_and_nothing_else(name: str) -> None:
    model = normalise(NETWORKS[name][0]())

    assert (len(of_kind(model, "run")), len(of_kind(model, "activation"))) == OTHERS[name]


def assert_renaming_changes_nothing(model: Model, seed: int) -> None:
    renamed, names = rename_everything(model, seed)
    units = find_units(model)

    found = find_units(renamed)

    assert found == [translate(unit, names) for unit in units]
    assert [signature(renamed, unit) for unit in found] == [signature(model, unit) for unit in units]


@pytest.mark.parametrize("name", NETWORKS)
def test_renaming_everything_gives_the_same_units(name: str) -> None:
    assert_renaming_changes_nothing(normalise(NETWORKS[name][0]()), seed=len(name))


@pytest.mark.parametrize("seed", range(50))
def test_units_of_a_random_graph_lie_apart_or_inside_each_other(seed: int) -> None:
    """Whatever things are called, the units are the same; whichever go, the graph stays valid."""
    model = random_graph(seed)
    assert_renaming_changes_nothing(model, seed)
    units = find_units(model)
    parts = [{*unit.nodes, unit.join} for unit in units]

    assert all(a <= b or b <= a or not a & b for a in parts for b in parts)
    cut = remove_units(model, random.Random(seed).sample(units, len(units) // 2))
    onnx.checker.check_model(cut.to_bytes(), full_check=True)
    assert (cut.inputs, cut.outputs) == (model.inputs, model.outputs)


@pytest.mark.parametrize("name", WITH_UNITS)
def test_sources_come_in_topological_order(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    order = list(model.values())

    places = [order.index(unit.source) for unit in find_units(model)]

    assert places == sorted(places)


def test_equal_blocks_share_a_signature_and_others_do_not() -> None:
    equal, mixed = normalise(residual()), normalise(transformer())

    assert len({signature(equal, unit) for unit in of_kind(equal, "branch")}) == 1
    assert len({signature(equal, unit) for unit in of_kind(equal, "run")}) == 1
    assert len({signature(mixed, unit) for unit in of_kind(mixed, "branch")}) == 2


@pytest.mark.parametrize("build", [nested, nested_last])
def test_a_unit_in_the_branch_of_another_is_contained_in_it(build: Callable[[], Model]) -> None:
    outer, inner = of_kind(normalise(build()), "branch")

    assert contains(outer, inner)
    assert not contains(inner, outer)
    assert not contains(outer, outer)


def test_neighbours_contain_each_other_not() -> None:
    units = of_kind(normalise(residual()), "branch")

    assert not any(contains(a, b) for a in units for b in units)


def test_a_unit_names_its_parts() -> None:
    """Source, branch and target are values, and the nodes are those between, without the join."""
    model = normalise(residual())
    first = of_kind(model, "branch")[0]
    join = model.nodes()[first.join]

    assert {value.name for value in join.inputs if value is not None} == {first.source, first.branch}
    assert join.outputs[0].name == first.target
    assert [model.nodes()[node].op_type for node in first.nodes] == ["Conv", "Relu", "Conv"]


def test_a_run_names_its_parts() -> None:
    """A bias that is added by a node of its own goes with the product; the join makes the target."""
    model = normalise(residual_with_batch_norm())
    first = of_kind(model, "run")[0]

    assert [model.nodes()[node].op_type for node in (*first.nodes, first.join)] == ["Conv", "BatchNormalization"]
    assert model.nodes()[first.join].outputs[0].name == first.target == first.branch
    assert [unit.name for unit in of_kind(fold(model), "run")] == [unit.name for unit in of_kind(model, "run")]


def test_a_spelled_out_activation_is_one_unit() -> None:
    model = transformer()  # as it is: the plain form has one operator for it
    infer_shapes(model)
    (unit,) = of_kind(model, "activation")

    assert Counter(model.nodes()[node].op_type for node in (*unit.nodes, unit.join)) == Counter(
        {"Mul": 4, "Add": 2, "Pow": 1, "Tanh": 1}
    )


def test_a_layer_of_the_head_is_no_run() -> None:
    """Eight scores of eight channels: no feature would show that the head is gone."""
    draft = Draft()
    model = normalise(draft.model(draft.classify(stem(draft), classes=CHANNELS), output_shape=("batch", CHANNELS)))

    assert not find_units(model)


def test_branches_are_what_a_method_leaves_out_and_runs_where_there_is_none() -> None:
    with_skips, without = find_units(normalise(residual())), find_units(normalise(plain()))

    assert [unit.kind for unit in blocks(with_skips)] == ["branch"] * 3
    assert [unit.kind for unit in blocks(without)] == ["run"] * 3


def test_a_block_of_several_ways_is_one_run() -> None:
    """An inception as wide as what it reads: no way of it alone gives back that shape."""
    draft = Draft()
    x = stem(draft)
    pooled = draft.node("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4)
    narrow = draft.node("Relu", draft.conv(x, CHANNELS, 3, kernel=1))
    ways = [draft.conv(x, CHANNELS, 2, kernel=1), draft.conv(narrow, 3, 4), draft.conv(pooled, CHANNELS, 2, kernel=1)]
    model = normalise(draft.model(draft.classify(draft.node("Relu", draft.node("Concat", *ways, axis=1)))))

    (unit,) = find_units(model)

    assert unit.kind == "run"
    kinds = Counter(model.nodes()[node].op_type for node in (*unit.nodes, unit.join))
    assert kinds == Counter({"Conv": 4, "MaxPool": 1, "Relu": 1, "Concat": 1})


def test_a_rule_that_raises_leaves_the_graph_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The activation is left out for a moment only, whatever becomes of asking."""
    asked: list[Model] = []

    def fails(model: Model, node: ir.Node) -> None:
        asked.append(model)
        raise ArithmeticError(str(node.name))

    monkeypatch.setattr(activations, "MERGES", {"fails": fails})
    model = normalise(residual())

    with pytest.raises(ArithmeticError):
        find_units(model)

    assert asked[0].to_bytes() == model.to_bytes()
