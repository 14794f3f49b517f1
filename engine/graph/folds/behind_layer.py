"""Constants behind a layer: batch norm, layer scale, a bias of its own node; they become part of weight and bias."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import kind, only_reader, take_name
from engine.graph.folds.affine import Affine, read_affine
from engine.graph.folds.layer import Layer, change_outputs, layer_making
from engine.graph.model import Model


def behind_layer(model: Model, node: ir.Node) -> bool:
    """Fold a node that multiplies channels by constants, or adds some, into the layer before it; say whether it was.

    A Transpose may lie between them, as in ConvNeXt. Nobody else may read what is folded. Weight 2.0 before a norm with
    scale 3, mean 1, variance 4 and bias 5 becomes 3.0, and bias 0 becomes 3.5.
    """
    affine = read_affine(node)
    found = None if affine is None else _layer_before(affine)
    if affine is None or found is None:
        return False
    layer, axis = found
    if (affine.is_along_channels and axis != layer.axis) or (affine.shift.any() and not layer.takes_bias):
        return False
    change = change_outputs(layer, affine.scale, affine.shift)
    if not change.is_kept:
        return False
    change.apply(model)
    take_name(affine.makes, affine.reads)
    model.graph.remove(node, safe=True)
    return True


def _layer_before(affine: Affine) -> tuple[Layer, int] | None:
    """Return the layer and the axis of its channels that the constants go along."""
    value, axis = affine.reads, affine.axis
    reader: ir.Node | None = affine.node
    while only_reader(value) is reader:
        layer = layer_making(value)
        if layer is not None:
            return layer, axis
        reader = value.producer()
        if reader is None or kind(reader) != "Transpose" or reader.inputs[0] is None:
            return None
        order = reader.attributes.get_ints("perm", ())
        if not order:
            return None
        value, axis = reader.inputs[0], order[axis]
    return None
