"""Batch norm folded into the layer before it: fewer nodes, the same function."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from engine.graph.edits import remove_dead
from engine.graph.model import Model

_EPSILON = 1e-5
_OUTPUT_AXIS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 1}
"""Where the weight keeps its output channels; a transposed Gemm weight keeps them on axis 0."""

Array = NDArray[np.floating[Any]]


def fold_batch_norm(model: Model) -> Model:
    """Return a new model in which each batch norm that alone reads a Conv, ConvTranspose or Gemm is part of it.

    Weight 2.0 before a norm with scale 3, mean 1, variance 4 and bias 5 becomes 3.0, and bias 0 becomes 3.5.
    """
    folded = model.copy()
    for norm in [node for node in folded.graph if node.op_type == "BatchNormalization"]:
        layer = norm.inputs[0].producer() if norm.inputs[0] is not None else None
        if layer is not None and _can_fold(layer, norm):
            _fold(folded, layer, norm)
    remove_dead(folded)
    return folded


def _can_fold(layer: ir.Node, norm: ir.Node) -> bool:
    if layer.op_type not in _OUTPUT_AXIS or len(list(layer.outputs[0].uses())) != 1:
        return False
    if layer.outputs[0].is_graph_output() or norm.attributes.get_int("training_mode", 0) == 1 or len(norm.outputs) > 1:
        return False
    if layer.op_type == "Gemm" and (layer.attributes.get_float("beta", 1.0) != 1 or not _bias_is_a_row(layer)):
        return False
    if layer.op_type == "ConvTranspose" and layer.attributes.get_int("group", 1) != 1:
        return False
    return all(value is None or value.const_value is not None for value in (*layer.inputs[1:], *norm.inputs[1:]))


def _bias_is_a_row(layer: ir.Node) -> bool:
    bias = layer.inputs[2] if len(layer.inputs) > 2 else None
    return bias is None or (bias.shape is not None and len(bias.shape) == 1)


def _fold(model: Model, layer: ir.Node, norm: ir.Node) -> None:
    scale, shift, mean, variance = (_array(value).astype(np.float64) for value in norm.inputs[1:5])
    factor = scale / np.sqrt(variance + norm.attributes.get_float("epsilon", _EPSILON))
    weight = _array(layer.inputs[1])
    bias = _array(layer.inputs[2]).astype(np.float64) if len(layer.inputs) > 2 and layer.inputs[2] is not None else 0.0
    axis = 0 if layer.attributes.get_int("transB", 0) == 1 else _OUTPUT_AXIS[layer.op_type]
    along = [-1 if i == axis else 1 for i in range(weight.ndim)]
    _set_input(model, layer, 1, (weight * factor.reshape(along)).astype(weight.dtype), "weight")
    _set_input(model, layer, 2, ((bias - mean) * factor + shift).astype(weight.dtype), "bias")
    _take_over_output(model, layer, norm)


def _set_input(model: Model, node: ir.Node, index: int, array: Array, role: str) -> None:
    """Give a node its own array: in its initialiser where no other node reads that, in a new one otherwise."""
    value = node.inputs[index] if len(node.inputs) > index else None
    if value is not None and len(list(value.uses())) == 1 and not value.is_graph_output():
        model.set_weight(str(value.name), array)
        return
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
    node.replace_input_with(index, _add_initialiser(model, f"{node.name}.{role}", array))


def _add_initialiser(model: Model, stem: str, array: Array) -> ir.Value:
    tensor = ir.tensor(np.ascontiguousarray(array), name=_free(stem, set(model.values())))
    value = ir.Value(
        name=tensor.name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype)
    )
    model.graph.register_initializer(value)
    return value


def _take_over_output(model: Model, layer: ir.Node, norm: ir.Node) -> None:
    """Let the layer make the value that the norm made, under its name."""
    old, new = norm.outputs[0], layer.outputs[0]
    name = old.name
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    old.name = None
    new.name = name
    model.graph.remove(norm, safe=True)


def _free(stem: str, taken: set[str]) -> str:
    name, number = stem, 1
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name


def _array(value: ir.Value | None) -> Array:
    assert value is not None
    assert value.const_value is not None
    return cast(Array, value.const_value.numpy())
