"""The model in memory: what it tells of itself, and that copies do not share what can be changed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from engine.graph.edits import add_initialiser
from engine.graph.model import Model, TensorInfo
from tests.networks import clutter, residual


def test_inputs_and_outputs_keep_their_dynamic_axes() -> None:
    model = residual()

    assert model.inputs == (TensorInfo("image", "float32", ("batch", 3, 16, 16)),)
    assert [info.shape for info in model.outputs] == [("batch", 5)]
    assert model.opset == 18


def test_the_opset_may_be_declared_under_either_name_of_the_domain() -> None:
    proto = ir.to_proto(residual().ir)
    proto.opset_import[0].domain = "ai.onnx"

    model = Model(ir.from_proto(proto))

    assert model.opset == 18
    assert model.copy().opset == 18
    assert model.to_bytes() == residual().to_bytes()


def test_nodes_without_a_name_of_their_own_get_one_and_others_keep_theirs() -> None:
    graph = clutter().ir
    nodes = list(graph.graph)
    nodes[1].name = None
    nodes[2].name = ""
    nodes[4].name = nodes[3].name
    kept = [node.name for node in (nodes[0], nodes[3], *nodes[5:])]

    names = [str(node.name) for node in Model(graph).graph]

    assert len(set(names)) == len(names)
    assert all(names)
    assert [names[0], names[3], *names[5:]] == kept


def test_a_copy_can_be_changed_alone() -> None:
    model = residual()
    before = model.to_bytes()
    copy = model.copy()
    name = next(iter(copy.graph.initializers))

    copy.set_weight(name, np.zeros_like(copy.weight(name)))
    copy.ir.metadata_props["note"] = "changed"

    assert model.to_bytes() == before
    assert not copy.weight(name).any()


def test_a_single_number_stays_one() -> None:
    """One number and a row of one number are not the same: an operator that takes it makes another shape of each."""
    model, three = residual(), np.array(3, np.int64)

    name = add_initialiser(model, "number", three).name
    written = model.weight(str(name)).shape
    model.set_weight(str(name), three)

    assert written == model.weight(str(name)).shape == ()


def test_the_same_graph_gives_the_same_bytes() -> None:
    model = residual()

    assert model.to_bytes() == model.copy().to_bytes() == residual().to_bytes()


def test_initialisers_that_double_as_inputs_are_no_inputs() -> None:
    model = residual()
    weight = next(iter(model.graph.initializers.values()))
    model.graph.inputs.append(weight)

    assert [info.name for info in model.inputs] == ["image"]
    assert isinstance(weight, ir.Value)
