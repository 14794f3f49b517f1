"""An activation of what it has made itself: the second one changes nothing."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import array_of, is_constant, kind, replace_value
from engine.graph.merges.offer import Offer
from engine.graph.model import Model


def repeated(model: Model, node: ir.Node) -> Offer | None:
    """Offer to leave out a Relu of a Relu, and a Clip of a Clip with the same bounds."""
    read = node.inputs[0] if kind(node) in ("Relu", "Clip") else None
    first = None if read is None else read.producer()
    if read is None or first is None or kind(first) != kind(node) or node.outputs[0].is_graph_output():
        return None
    if kind(node) == "Clip" and _bounds(first) != _bounds(node):
        return None
    value = read
    return Offer((str(node.name),), 0, 0, lambda: replace_value(model, node.outputs[0], value))


def _bounds(node: ir.Node) -> tuple[object, ...]:
    """Return what a Clip's bounds are: numbers where they are known, else the values themselves."""
    return tuple(float(array_of(value).reshape(-1)[0]) if is_constant(value) else value for value in node.inputs[1:])
