"""Scale and bias of a layer norm, made part of the linear layers that read it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, array_of, is_constant, kind, set_constant
from engine.graph.folds.layer import Layer, change_inputs, layer_reading
from engine.graph.model import Model


def layer_norm(model: Model, node: ir.Node) -> bool:
    """Fold a layer norm's scale and bias into all that reads it, and say whether that was done.

    The norm keeps its inputs, ones and zeros: a runtime that knows norms by their form still knows this one.
    """
    if kind(node) != "LayerNormalization" or len(node.outputs) > 1 or not _is_over_channels(node):
        return False
    if not all(is_constant(value) for value in node.inputs[1:]):
        return False
    scale = array_of(node.inputs[1]).astype(np.float64)
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    shift = array_of(node.inputs[2]).astype(np.float64) if has_bias else np.zeros(1)
    if scale.ndim != 1 or ((scale == 1).all() and not shift.any()):
        return False
    changes = [change_inputs(layer, scale, shift) for layer in _readers(node.outputs[0], shift)]
    if not changes or not all(change.is_kept for change in changes):
        return False
    for change in changes:
        change.apply(model)
    _make_plain(model, node, scale, has_bias)
    return True


def _is_over_channels(node: ir.Node) -> bool:
    shape, axis = node.outputs[0].shape, node.attributes.get_int("axis", -1)
    return shape is not None and axis in (-1, len(shape) - 1)


def _readers(made: ir.Value, shift: Array) -> list[Layer]:
    """Return the linear layers that read the norm, none where anything else does or one has no place for a bias."""
    found = [None if kind(use.node) == "Conv" else layer_reading(made, use.node, use.idx) for use in made.uses()]
    layers = [layer for layer in found if layer is not None and (layer.takes_bias or not shift.any())]
    return layers if len(layers) == len(found) and not made.is_graph_output() else []


def _make_plain(model: Model, node: ir.Node, scale: Array, has_bias: bool) -> None:
    kind = array_of(node.inputs[1]).dtype
    set_constant(model, node, 1, np.ones(scale.shape, kind), "scale")
    if has_bias:
        set_constant(model, node, 2, np.zeros(scale.shape, kind), "bias")
