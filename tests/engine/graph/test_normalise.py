"""Normalising changes the form of a network and nothing that it says."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from engine.errors import ModelUnsafe
from engine.execution.runtime import open_session, run
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.plain.lift import OPSET
from engine.graph.units import find_units
from tests.engine.graph.same import assert_same
from tests.networks import CHANNELS, NETWORKS, Draft, clutter, images, residual, stem


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_stay_the_same(name: str) -> None:
    model = NETWORKS[name][0]()
    inputs = images(model)
    wanted = run(open_session(model), inputs)

    plain = normalise(model)

    onnx.checker.check_model(plain.to_bytes(), full_check=True)
    found = run(open_session(plain), inputs)
    assert (plain.inputs, plain.outputs) == (model.inputs, model.outputs)
    assert plain.opset >= OPSET
    assert_same(found, wanted)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shape_is_known_afterwards(name: str) -> None:
    """In numbers, or in the input's own open axis and its multiples."""
    plain = normalise(NETWORKS[name][0]())

    for node in plain.graph:
        for value in node.outputs:
            assert value.shape is not None
            assert all(isinstance(size, int) or str(size).endswith("batch") for size in value.shape)


def test_what_an_exporter_says_wrongly_of_shapes_does_not_hide_a_unit() -> None:
    model = residual()
    for node in model.graph:
        for index, value in enumerate(node.outputs):
            if not value.is_graph_output():
                value.shape = ir.Shape([f"unk__{node.name}_{index}", None, None, None])

    plain = normalise(model)

    assert sum(unit.kind == "branch" for unit in find_units(plain)) == 3


@pytest.mark.parametrize("domain", ["", "ai.onnx"])
def test_a_file_that_lists_its_weights_as_inputs_becomes_a_valid_one(domain: str) -> None:
    """Before IR version 4 every initialiser had to be an input as well."""
    proto = ir.to_proto(residual().ir)
    proto.ir_version = 3
    proto.opset_import[0].domain = domain
    weights = proto.graph.initializer
    proto.graph.input.extend(onnx.helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights)
    onnx.checker.check_model(proto, full_check=True)

    plain = normalise(Model(ir.from_proto(proto)))

    onnx.checker.check_model(plain.to_bytes(), full_check=True)
    assert len(plain.graph.inputs) == 1
    assert plain.opset == 18


def test_constants_identities_and_dropouts_are_gone() -> None:
    kinds = {node.op_type for node in normalise(clutter()).graph}

    assert not kinds & {"Constant", "Identity", "Dropout"}


def test_normalising_twice_changes_nothing_more() -> None:
    once = normalise(clutter())

    assert normalise(once).to_bytes() == once.to_bytes()


def test_the_users_names_and_metadata_stay() -> None:
    model = residual()
    model.ir.metadata_props["author"] = "somebody"
    nodes, values = set(model.nodes()), set(model.values())

    plain = normalise(model)

    assert set(plain.nodes()) == nodes
    assert set(plain.values()) == values
    assert plain.ir.metadata_props["author"] == "somebody"


def test_an_opset_before_eleven_is_lifted() -> None:
    draft = Draft(opset=9)
    x = draft.node("Clip", stem(draft), min=0.0, max=6.0)
    x = draft.node("Squeeze", draft.node("ReduceMean", x, axes=[2, 3]), axes=[2, 3])
    older = draft.model(draft.node("Gemm", x, draft.weight(CHANNELS, 5), draft.weight(5)))
    inputs = images(older)
    wanted = run(open_session(older), inputs)

    plain = normalise(older)

    assert plain.opset == OPSET
    assert_same(run(open_session(plain), inputs), wanted)


def test_a_tiny_file_that_makes_a_huge_tensor_is_refused() -> None:
    """A hundred bytes ask for eight thousand million numbers: nothing of it is built."""
    draft = Draft()
    huge = draft.node("ConstantOfShape", draft.constant([2_000, 2_000, 2_000], np.int64))
    model = draft.model(draft.classify(draft.node("Add", stem(draft), draft.node("ReduceMean", huge))))

    with pytest.raises(ModelUnsafe, match="ConstantOfShape makes a tensor of 8000000000 elements"):
        normalise(model)


def test_a_constant_that_doubles_forty_times_is_refused() -> None:
    draft = Draft()
    x = draft.weight(1024)
    for _ in range(40):
        x = draft.node("Concat", x, x, axis=0)
    model = draft.model(draft.classify(draft.node("Add", stem(draft), draft.node("ReduceMean", x))))

    with pytest.raises(ModelUnsafe, match="Concat makes a tensor"):
        normalise(model)


def test_a_bias_that_is_made_like_the_image_is_a_constant() -> None:
    """So exporters write a convolution without a bias before a norm where they are told to leave the norm alone."""
    draft = Draft()
    zero = draft.node("CastLike", draft.constant(0.0), "image")
    bias = draft.node("Expand", zero, draft.constant([CHANNELS], np.int64))
    x = draft.node("Conv", "image", draft.weight(CHANNELS, 3, 3, 3), bias, pads=[1, 1, 1, 1])
    model = draft.model(draft.classify(draft.node("Relu", x)))
    inputs = images(model)

    plain = normalise(model)

    assert [node.op_type for node in plain.graph][:2] == ["Conv", "Relu"]
    assert_same(run(open_session(plain), inputs), run(open_session(model), inputs))
