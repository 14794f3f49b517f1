"""An operator of another domain may bear the name of one of ONNX's own and do something else: it is left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper

from engine.execution.runtime import open_session, run
from engine.graph.folds import fold
from engine.graph.idioms.attention import find_attention
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import find_units
from tests.networks import Draft, Shape, images

IMAGE: Shape = ("batch", 4, 6, 6)
ROWS: Shape = ("batch", 4)

Inputs = Callable[[Draft], list[str]]
PICTURES: dict[str, Inputs] = {
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), lambda draft: [draft.weight(4, 1, 1, scale=1.0)]),
    "BatchNormalization": lambda draft: [draft.constant(draft.random.uniform(0.5, 1.5, 4)) for _ in range(4)],
    "AveragePool": lambda draft: [],
    "Conv": lambda draft: [draft.weight(4, 4, 1, 1), draft.weight(4)],
    "Dropout": lambda draft: [],
    "Relu": lambda draft: [],
}
LINEAR: dict[str, Inputs] = {
    "Gemm": lambda draft: [draft.weight(4, 4), draft.weight(4)],
    "MatMul": lambda draft: [draft.weight(4, 4)],
    "LayerNormalization": lambda draft: [draft.weight(4), draft.weight(4)],
}


def foreign(draft: Draft, op_type: str, *inputs: str) -> str:
    return draft.node(op_type, *inputs, domain="my", **({"kernel_shape": [1, 1]} if op_type == "AveragePool" else {}))


def finish(draft: Draft, value: str, shape: Shape, inside: Shape | None = None) -> Model:
    """Define each operator of the other domain as the sine of its first input; the file says what shape it makes."""
    nodes = {node.op_type: node for node in draft.nodes if node.domain == "my"}
    plain = ir.to_proto(draft.model(value, shape, shape).ir)
    for op_type, node in nodes.items():
        names = [f"in_{index}" for index in range(len(node.input))]
        sine = helper.make_node("Sin", names[:1], ["out"])
        ours = [attribute.name for attribute in node.attribute]
        opset = [helper.make_opsetid("", draft.opset)]
        plain.functions.append(helper.make_function("my", op_type, names, ["out"], [sine], opset, ours))
    made = [name for node in draft.nodes if node.domain == "my" for name in node.output if name != value]
    plain.graph.value_info.extend(helper.make_tensor_value_info(name, 1, inside or shape) for name in made)
    plain.opset_import.append(helper.make_opsetid("my", 1))
    return Model(ir.from_proto(plain))


def assert_stays(model: Model, op_type: str, times: int) -> None:
    plain = normalise(model)
    for found in (plain, fold(plain), merge(plain)):
        onnx.checker.check_model(found.to_bytes())
        before, after = (run(open_session(each), images(model)) for each in (model, found))
        for name, values in before.items():
            assert after[name].shape == values.shape
            assert np.abs(after[name] - values).max() <= 1e-5 * np.abs(values).max()
        assert [node.op_type for node in found.graph if node.domain == "my"] == [op_type] * times


@pytest.mark.parametrize("op_type", PICTURES)
def test_beside_a_convolution(op_type: str) -> None:
    draft = Draft()
    x = draft.conv("image", 4, 4, kernel=1)
    for _ in range(2):
        x = foreign(draft, op_type, x, *PICTURES[op_type](draft))
    model = finish(draft, draft.node("LeakyRelu", draft.conv(x, 4, 4, kernel=1)), IMAGE)

    assert_stays(model, op_type, 2)
    assert not [unit for unit in find_units(normalise(model)) if unit.kind == "activation"]


@pytest.mark.parametrize("op_type", LINEAR)
def test_beside_a_linear_layer(op_type: str) -> None:
    draft = Draft()
    x = draft.node("Gemm", "image", draft.weight(4, 4), draft.weight(4))
    x = foreign(draft, op_type, draft.node("Mul", x, draft.weight(4, scale=1.0)), *LINEAR[op_type](draft))
    x = draft.node("Gemm", draft.node("Mul", x, draft.weight(4, scale=1.0)), draft.weight(4, 4), draft.weight(4))

    assert_stays(finish(draft, draft.node("LeakyRelu", x), ROWS), op_type, 1)


def test_a_sum_that_is_none_joins_no_unit() -> None:
    draft = Draft()
    x = draft.node("Relu", draft.conv("image", 4, 4))
    x = foreign(draft, "Add", x, draft.conv(x, 4, 4))

    units = find_units(normalise(finish(draft, draft.node("LeakyRelu", x), IMAGE)))

    assert not [unit for unit in units if unit.kind == "branch"]


@pytest.mark.parametrize("op_type", ["Attention", "Softmax"])
def test_attention_is_read_into_neither(op_type: str) -> None:
    draft = Draft(opset=18)
    read = ["image", "image", "image"]
    if op_type == "Softmax":
        turned = draft.node("Transpose", "image", perm=[0, 2, 1])
        read = [draft.node("MatMul", "image", turned)]
    made = foreign(draft, op_type, *read)
    x = made if op_type == "Attention" else draft.node("MatMul", made, "image")

    assert not find_attention(normalise(finish(draft, x, ("batch", 5, 4), ("batch", 5, 5))))
