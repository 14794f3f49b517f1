"""Constants before layers: batch norm, and a picture's mean and spread; they become part of weight and bias."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import kind
from engine.graph.folds.affine import Affine, read_affine
from engine.graph.folds.layer import Layer, change_inputs, layer_reading
from engine.graph.model import Model


def before_layer(model: Model, node: ir.Node) -> bool:
    """Fold a node that multiplies channels by constants, or adds some, into all layers behind it; say whether it was.

    What is added cannot be folded into a convolution with a border: the border is zero behind the sum, not before it.
    """
    affine = read_affine(node)
    if affine is None or affine.makes.is_graph_output() or _ends_a_product(affine):
        return False
    changes = [change_inputs(layer, affine.scale, affine.shift) for layer in _readers(affine)]
    if not changes or not all(change.is_kept for change in changes):
        return False
    for change in changes:
        change.apply(model)
    affine.makes.replace_all_uses_with(affine.reads)
    model.graph.remove(node, safe=True)
    return True


def _ends_a_product(affine: Affine) -> bool:
    """Say whether a number is the last factor of a product: the half of a spelled-out GELU, which runtimes look for."""
    before = affine.reads.producer()
    return not affine.is_along_channels and before is not None and kind(before) == "Mul"


def _readers(affine: Affine) -> list[Layer]:
    """Return the layers that read the result, none where anything else reads it or one of them cannot take it."""
    found = [layer_reading(affine.makes, use.node, use.idx) for use in affine.makes.uses()]
    layers = [layer for layer in found if layer is not None and _takes(layer, affine)]
    return layers if len(layers) == len(found) else []


def _takes(layer: Layer, affine: Affine) -> bool:
    if kind(layer.node) == "ConvTranspose" or affine.makes.shape is None:
        return False
    channels = 1 if kind(layer.node) == "Conv" else len(affine.makes.shape) - 1
    if affine.is_along_channels and affine.axis != channels:
        return False
    return not affine.shift.any() or (layer.takes_bias and not _has_border(layer.node))


def _has_border(node: ir.Node) -> bool:
    padded = node.attributes.get_string("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER")
    return kind(node) == "Conv" and (padded or any(node.attributes.get_ints("pads", ()) or ()))
