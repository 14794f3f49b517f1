"""Axes, indices, sizes and counts that contradict what they are applied to are refused by the name of the node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.errors import ModelUnreadable
from engine.formats import load

X = ("x", (2, 3, 4))
Inputs = tuple[tuple[str, tuple[int, ...]] | list[int], ...]
Row = tuple[str, Inputs, dict[str, Any], int, int]


def row(
    op_type: str, *inputs: tuple[str, tuple[int, ...]] | list[int], outputs: int = 1, opset: int = 18, **attributes: Any
) -> Row:
    """Return a node: what it reads (sizes of an input, or numbers that are stored), its attributes and outputs."""
    return op_type, inputs, attributes, outputs, opset


def written(path: Path, case: Row) -> Path:
    op_type, inputs, attributes, outputs, opset = case
    given = [
        helper.make_tensor_value_info(f"x{place}", TensorProto.FLOAT, entry[1])
        for place, entry in enumerate(inputs)
        if isinstance(entry, tuple)
    ]
    stored = [
        numpy_helper.from_array(np.array(entry, np.int64), f"x{place}")
        for place, entry in enumerate(inputs)
        if isinstance(entry, list)
    ]
    names = [f"y{number}" for number in range(outputs)]
    node = helper.make_node(op_type, [f"x{place}" for place in range(len(inputs))], names, "culprit", **attributes)
    made = [
        helper.make_value_info(name, onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=1))) for name in names
    ]
    graph = helper.make_graph([node], "one", given, made, stored)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()
    )
    return path


def attention(sizes: tuple[int, ...], **attributes: int) -> Row:
    return row("Attention", ("q", sizes), ("k", sizes), ("v", sizes), opset=23, **attributes)


REFUSED: dict[str, tuple[Row, str]] = {
    "index beyond": (row("Gather", X, [0, 3], axis=1), "entry 3 of an axis of 3"),
    "index before": (row("Gather", X, [-4], axis=1), "entry -4 of an axis of 3"),
    "axis of an index": (row("Gather", X, [0], axis=3), "axis 3"),
    "step of nothing": (row("Slice", X, [0], [2], [1], [0]), "step of 0"),
    "slices of two lengths": (row("Slice", X, [0, 0], [2], [1]), r"lengths \[1, 2\]"),
    "axis of a slice": (row("Slice", X, [0], [2], [3]), "axis 3"),
    "parts of another whole": (row("Split", X, [1, 9], axis=1, outputs=2), r"axis of 3 into parts of \[1, 9\]"),
    "parts without an output": (row("Split", X, [1, 1, 1], axis=1, outputs=2), "2 outputs"),
    "parts as an attribute": (row("Split", X, split=[1, 9], axis=1, outputs=2, opset=11), "parts of"),
    "less than no part": (row("Split", X, [4, -1], axis=1, outputs=2), "parts of"),
    "more than there are": (row("TopK", X, [9], axis=1, outputs=2), "takes 9 of an axis of 3"),
    "axis of the largest": (row("TopK", X, [1], axis=5, outputs=2), "axis 5"),
    "axis of a mean": (row("ReduceMean", X, [9]), "axis 9"),
    "axis of a mean as an attribute": (row("ReduceMean", X, axes=[-4], opset=13), "axis -4"),
    "size that is not kept": (row("Reshape", X, [2, 3, 4, 0]), "keeps size 3"),
    "size that does not divide": (row("Reshape", X, [5, -1]), "24 elements into 5 times some"),
    "sizes past all bounds": (row("Reshape", X, [1 << 62] * 40), "turns 24 elements"),
    "axis that is wide": (row("Squeeze", X, [1]), "drops axis 1"),
    "axis far out": (row("Unsqueeze", X, [9]), "axis 9"),
    "counting on the spot": (row("Range", [0], [5], [0]), "steps of 0"),
    "no heads": (attention((2, 3, 8), q_num_heads=0, kv_num_heads=0), "0 in '(q|kv)_num_heads'"),
    "heads that are not told": (attention((2, 3, 8)), "does not say 'q_num_heads'"),
    "heads of keys that are not told": (attention((2, 3, 8), q_num_heads=2), "does not say 'kv_num_heads'"),
    "heads that do not divide": (attention((2, 3, 8), q_num_heads=3, kv_num_heads=3), "into 3 heads"),
    "flat attention": (attention((3, 8)), "three or four axes"),
}

SOUND: dict[str, Row] = {
    "indices from both ends": row("Gather", X, [-3, 2], axis=-2),
    "slice to infinity": row("Slice", X, [-1], [-(1 << 62)], [-1], [-1]),
    "parts, one of them empty": row("Split", X, [3, 0], axis=1, outputs=2),
    "all that there are": row("TopK", X, [4], outputs=2),
    "the last axis": row("ReduceSum", X, [-1, 0]),
    "every axis": row("ReduceMax", X),
    "sizes that are kept": row("Reshape", X, [0, 0, -1]),
    "no size that is kept": row("Reshape", X, [2, 12], allowzero=1),
    "an axis of one": row("Squeeze", ("x", (2, 1)), [-1]),
    "an axis behind the last": row("Unsqueeze", X, [3, -1]),
    "counting down": row("Range", [5], [0], [-1]),
    "heads that are told": attention((2, 3, 8), q_num_heads=4, kv_num_heads=2),
    "heads as an axis": attention((2, 2, 3, 8)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_argument_that_contradicts_is_refused(name: str, tmp_path: Path) -> None:
    case, words = REFUSED[name]

    with pytest.raises(ModelUnreadable, match=words) as refused:
        load(written(tmp_path / "network", case))

    assert refused.value.where == "culprit"


@pytest.mark.parametrize("name", SOUND)
def test_an_argument_at_the_edge_is_taken(name: str, tmp_path: Path) -> None:
    assert [node.name for node in load(written(tmp_path / "network", SOUND[name])).graph] == ["culprit"]


def test_the_joined_axis_is_held_against_each_input(tmp_path: Path) -> None:
    """Also where the first is of an unknown number of axes, as what is reshaped by numbers known only at run time."""
    given = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 3)),
        helper.make_tensor_value_info("sizes", TensorProto.INT64, ("axes",)),
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "sizes"], ["open"], "open"),
        helper.make_node("Concat", ["open", "x", "x"], ["y"], "culprit", axis=5),
    ]
    made = helper.make_value_info("y", onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=1)))
    graph = helper.make_graph(nodes, "two", given, [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    (tmp_path / "network").write_bytes(model.SerializeToString())

    with pytest.raises(ModelUnreadable, match="axis 5") as refused:
        load(tmp_path / "network")

    assert refused.value.where == "culprit"
