"""Following channels through a whole graph, node by node: the forms of every axis, and where they are frozen."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.channels.axes import Why, freeze
from engine.graph.channels.rules import RULES
from engine.graph.channels.rules.site import Flow, Opaque, Site, axes_read, new_axes
from engine.graph.model import Model


def follow(model: Model) -> Flow:
    """Return the forms of all axes. A node that has no rule freezes all that it touches, and is named as unknown."""
    flow = Flow()
    for value in model.graph.inputs:
        _freeze_value(flow, value, Why("", "", "it is an input of the network"))
    for node in model.graph:
        _follow_node(flow, node, model.opset)
        _freeze_captured(flow, node)
    for value in model.graph.outputs:
        _freeze_value(flow, value, Why("", "", "it is an output of the network"))
    return flow


def _follow_node(flow: Flow, node: ir.Node, opset: int) -> None:
    rule = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is None:
        flow.unknown.append(str(node.name))
        _freeze_node(flow, node, "no rule says how channels pass")
        return
    site = Site(flow, node, opset)
    try:
        rule(site)
        site.commit()
    except Opaque as refusal:
        _freeze_node(flow, node, str(refusal))
    except (IndexError, ValueError, StopIteration) as error:  # fewer axes or numbers than the operator has to have
        _freeze_node(flow, node, f"its inputs do not fit it: {error}")


def _freeze_node(flow: Flow, node: ir.Node, reason: str) -> None:
    """Freeze every axis of everything that a node reads or writes."""
    why = Why(str(node.name), node.op_type, reason)
    for index, value in enumerate(node.inputs):
        for form in (axes_read(flow, node, index, value) or ()) if value is not None else ():
            freeze(form, why)
    for value in node.outputs:
        _freeze_value(flow, value, why)


def _freeze_captured(flow: Flow, node: ir.Node) -> None:
    """Freeze what the bodies of a node read from around them: it is no input, and yet it is read."""
    why = Why(str(node.name), node.op_type, "it is read inside the body of this node")
    for attribute in node.attributes.values():
        bodies = [attribute.as_graph()] if attribute.type == ir.AttributeType.GRAPH else []
        bodies += list(attribute.as_graphs()) if attribute.type == ir.AttributeType.GRAPHS else []
        for body in bodies:
            read = [value for inner in ir.traversal.RecursiveGraphIterator(body) for value in inner.inputs]
            for value in (*read, *body.outputs):
                if value is not None:
                    _freeze_value(flow, value, why)


def _freeze_value(flow: Flow, value: ir.Value, why: Why) -> None:
    if value not in flow.axes:
        flow.axes[value] = new_axes(value)
    for form in flow.axes[value] or ():
        freeze(form, why)
