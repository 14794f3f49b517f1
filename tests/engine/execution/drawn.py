"""Cases like the standard's, for operators and older forms that have none there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.backend.test.case.test_case import TestCase

Array = NDArray[Any]

IMAGE: Array = np.random.default_rng(0).standard_normal((1, 2, 6, 6)).astype(np.float32)
REGIONS: Array = np.array([[0, 0, 0, 3, 4], [0, 1, 2, 5, 5]], np.float32)


def drawn(node: onnx.NodeProto, arrays: Sequence[Array], opset: int = 22) -> TestCase:
    """Make a case of one node from its inputs, none absent; it knows no right answer."""
    return _case(node, dict(zip(node.input, arrays, strict=True)), opset)


def branching() -> TestCase:
    """Make an If whose branches read images from outside, which are not among the node's inputs."""
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    then, otherwise = (
        helper.make_graph([helper.make_node("Mul", ["x", read], ["inner"])], "branch", [], [value]) for read in "xy"
    )
    node = helper.make_node("If", ["c"], ["z"], then_branch=then, else_branch=otherwise)
    return _case(node, {"c": np.array(False), "x": IMAGE, "y": 2 * IMAGE}, 22)


def looping(opset: int) -> TestCase:
    """Make a Loop of three turns that halves an image and says what it was before each."""
    image = helper.make_tensor_value_info("before", TensorProto.FLOAT, IMAGE.shape)
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["before", "half"], ["after"]),
            helper.make_node("Identity", ["before"], ["said"]),
            helper.make_node("Identity", ["going"], ["going_on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            image,
        ],
        [
            helper.make_tensor_value_info("going_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, IMAGE.shape),
            helper.make_tensor_value_info("said", TensorProto.FLOAT, IMAGE.shape),
        ],
    )
    node = helper.make_node("Loop", ["turns", "", "x"], ["y", "each"], body=body)
    return _case(node, {"turns": np.array(3), "x": IMAGE, "half": np.array([0.5], np.float32)}, opset)


def _case(node: onnx.NodeProto, given: dict[str, Array], opset: int) -> TestCase:
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in given.items()
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in node.output]
    graph = helper.make_graph([node], "one", infos, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return TestCase(node.op_type, node.op_type, None, None, model, [(list(given.values()), [])], "node", 1e-3, 1e-7)
