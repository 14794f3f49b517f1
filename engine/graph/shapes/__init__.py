"""Shapes and element types of all values, in numbers and sums and products of open axes, as far as they can be told."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.bodies import every_node
from engine.graph.model import Model
from engine.graph.shapes.walk import Inference


def infer_shapes(model: Model) -> None:
    """Write, in place, what follows about every value; the graph's inputs and outputs stay as the user declared them.

    An open size is written as a sum of products, as in `2*batch` or `floor((height + 1)/2)`: equal text, equal size.
    """
    inference = Inference(model.ir)
    for node in model.graph:
        inference.visit(node)
    write_shapes(model, inference)


def write_shapes(model: Model, inference: Inference) -> None:
    """Write, in place, what an inference has found about the values of this graph, inside of its nodes too."""
    for node in every_node(model.graph):
        for value in node.outputs:
            if not value.is_graph_output() or value.shape is None:
                _write(value, inference)


def _write(value: ir.Value, inference: Inference) -> None:
    shape, dtype = inference.shape(value), inference.dtype(value)
    if shape is not None:
        value.shape = ir.Shape([size if isinstance(size, int) else str(size) for size in shape])
    if dtype is not None:
        value.type = ir.TensorType(dtype)
