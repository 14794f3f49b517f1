"""The law of removal: a network without a unit says what the network says when that unit's branch is zero."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from engine.execution.runtime import open_session, run
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, contains, find_units
from tests.networks import NETWORKS, WITH_UNITS, images, nested, nested_last, residual, sum_is_output

TOLERANCE = 1e-5


def silence(model: Model, units: Iterable[Unit]) -> Model:
    """Return a copy in which each unit's branch is multiplied by zero on its way into the sum."""
    silenced = model.copy()
    for index, unit in enumerate(units):
        name = f"silence_{index}"
        zero = ir.Value(name=name, const_value=ir.tensor(np.float32(0), name=name))
        silenced.graph.register_initializer(zero)
        join, branch = silenced.nodes()[unit.join], silenced.values()[unit.branch]
        product = ir.node("Mul", [branch, zero], name=name)
        silenced.graph.insert_before(join, product)
        join.replace_input_with(list(join.inputs).index(branch), product.outputs[0])
        product.outputs[0].name = f"{name}_output"
    return silenced


def assert_same_function(a: Model, b: Model) -> None:
    inputs = images(a)
    found, wanted = run(open_session(a), inputs), run(open_session(b), inputs)
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert np.abs(found[name] - values).max() <= TOLERANCE * np.abs(values).max()


@pytest.mark.parametrize("name", WITH_UNITS)
def test_removing_units_equals_silencing_them(name: str) -> None:
    """Every subset of units, in every network, in a random order."""
    model = normalise(NETWORKS[name][0]())
    units = find_units(model)

    for count in range(1, len(units) + 1):
        for chosen in itertools.combinations(units, count):
            shuffled = random.Random(count).sample(chosen, count)
            cut = remove_units(model, shuffled)

            onnx.checker.check_model(cut.to_bytes(), full_check=True)
            assert_same_function(cut, silence(model, chosen))


@pytest.mark.parametrize("name", WITH_UNITS)
def test_what_was_removed_is_gone_and_the_rest_is_untouched(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    units = find_units(model)
    gone = {node for unit in units for node in (*unit.nodes, unit.join)}

    cut = remove_units(model, units)

    assert not gone & set(cut.nodes())
    assert not find_units(cut)
    assert (cut.inputs, cut.outputs, cut.opset) == (model.inputs, model.outputs, model.opset)
    for node_name, node in cut.nodes().items():
        if node_name in model.nodes():
            assert node.attributes == model.nodes()[node_name].attributes
    for weight in cut.graph.initializers:
        assert np.array_equal(cut.weight(weight), model.weight(weight))


def test_the_model_that_was_cut_is_not_changed() -> None:
    model = normalise(residual())
    before = model.to_bytes()

    remove_units(model, find_units(model))

    assert model.to_bytes() == before


def test_a_relu_of_a_relu_is_one() -> None:
    model = normalise(residual())

    cut = merge(remove_units(model, find_units(model)))

    assert [node.op_type for node in cut.graph] == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]
    assert_same_function(cut, silence(model, find_units(model)))


@pytest.mark.parametrize("name", WITH_UNITS)
def test_units_may_go_in_any_order(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    orders = itertools.permutations(find_units(model))

    first, *others = [remove_units(model, order).to_bytes() for order in orders]

    assert all(other == first for other in others)


@pytest.mark.parametrize("branch_first", [True, False])
def test_an_inner_sum_at_the_end_of_an_outer_branch_may_go_first(branch_first: bool) -> None:
    model = normalise(nested_last(branch_first))
    outer, inner = find_units(model)
    assert contains(outer, inner)

    cut = remove_units(model, [inner, outer])

    assert_same_function(cut, remove_units(model, [outer]))
    assert_same_function(cut, silence(model, [outer]))


def test_an_inner_unit_may_be_named_after_its_outer_one_is_gone() -> None:
    model = normalise(nested())
    outer, inner = find_units(model)

    assert remove_units(model, [outer, inner]).to_bytes() == remove_units(model, [outer]).to_bytes()
    assert remove_units(model, [inner, outer]).to_bytes() == remove_units(model, [outer]).to_bytes()


def test_an_output_keeps_its_name_when_its_sum_goes() -> None:
    model = normalise(sum_is_output())

    cut = remove_units(model, find_units(model))

    assert cut.outputs == model.outputs
