"""The law of removal: a network without a unit says what the network says when that unit's branch is zero."""

from __future__ import annotations

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
from tests.engine.graph.same import assert_same
from tests.networks import NETWORKS, WITH_UNITS, images, nested, nested_last, residual, sum_is_output


def silence(model: Model, units: Iterable[Unit]) -> Model:
    """Return a copy in which each unit is multiplied by zero: a branch on its way into the sum, others into a new sum.

    Who read a run's target reads its source plus nothing, without any node of the run being taken out.
    """
    silenced = model.copy()
    order = {name: place for place, name in enumerate(model.nodes())}
    zero = ir.Value(name="zero", const_value=ir.tensor(np.float32(0), name="zero"))
    silenced.graph.register_initializer(zero)
    values, nodes = silenced.values(), silenced.nodes()
    for index, unit in enumerate(sorted(units, key=lambda unit: order[unit.join])):
        join, silent = nodes[unit.join], values[unit.branch]
        product = ir.node("Mul", [None, zero], name=f"silence_{index}")
        product.outputs[0].name = f"silence_{index}_output"
        if unit.kind == "branch":
            silenced.graph.insert_before(join, product)
            join.replace_input_with(list(join.inputs).index(silent), product.outputs[0])
        else:
            total = ir.node("Add", [product.outputs[0], values[unit.source]], name=f"stand_in_{index}")
            total.outputs[0].name = f"stand_in_{index}_output"
            silenced.graph.insert_after(join, [product, total])
            silent.replace_all_uses_with(total.outputs[0])
            values[unit.target] = total.outputs[0]
        product.replace_input_with(0, silent)
    return silenced


def branches(model: Model) -> list[Unit]:
    return [unit for unit in find_units(model) if unit.kind == "branch"]


def assert_same_function(a: Model, b: Model) -> None:
    inputs = images(a)
    assert_same(run(open_session(a), inputs), run(open_session(b), inputs))


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "dense"])
def test_removing_units_equals_silencing_them(name: str) -> None:
    """Units of every kind, each alone and in random subsets, in every network, in a random order."""
    model = normalise(NETWORKS[name][0]())
    units = find_units(model)
    choose = random.Random(name)
    subsets = [choose.sample(units, choose.randint(1, len(units))) for _ in range(4)]

    for chosen in [*([unit] for unit in units), units[::-1], *subsets]:
        cut = remove_units(model, chosen)

        onnx.checker.check_model(cut.to_bytes(), full_check=True)
        assert_same_function(cut, silence(model, chosen))


@pytest.mark.parametrize("name", WITH_UNITS)
def test_what_was_removed_is_gone_and_the_rest_is_untouched(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    units = branches(model)
    gone = {node for unit in units for node in (*unit.nodes, unit.join)}

    cut = remove_units(model, units)

    assert not gone & set(cut.nodes())
    assert not branches(cut)
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

    cut = merge(remove_units(model, branches(model)))

    assert [node.op_type for node in cut.graph] == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]
    assert_same_function(cut, silence(model, branches(model)))


@pytest.mark.parametrize("name", WITH_UNITS)
def test_units_may_go_in_any_order(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    units, choose = find_units(model), random.Random(name)
    orders = [choose.sample(units, len(units)) for _ in range(4)]

    first, *others = [remove_units(model, order).to_bytes() for order in (units, *orders)]

    assert all(other == first for other in others)


@pytest.mark.parametrize("branch_first", [True, False])
def test_an_inner_sum_at_the_end_of_an_outer_branch_may_go_first(branch_first: bool) -> None:
    model = normalise(nested_last(branch_first))
    outer, inner = branches(model)
    assert contains(outer, inner)

    cut = remove_units(model, [inner, outer])

    assert_same_function(cut, remove_units(model, [outer]))
    assert_same_function(cut, silence(model, [outer]))


def test_an_inner_unit_may_be_named_after_its_outer_one_is_gone() -> None:
    model = normalise(nested())
    outer, inner = branches(model)

    assert remove_units(model, [outer, inner]).to_bytes() == remove_units(model, [outer]).to_bytes()
    assert remove_units(model, [inner, outer]).to_bytes() == remove_units(model, [outer]).to_bytes()


def test_an_output_keeps_its_name_when_its_sum_goes() -> None:
    model = normalise(sum_is_output())

    cut = remove_units(model, find_units(model))

    assert cut.outputs == model.outputs
