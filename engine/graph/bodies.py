"""Graphs inside nodes, branches of an If, bodies of a Loop or a Scan, and what they read from around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir


def bodies(node: ir.Node) -> list[ir.Graph]:
    """Return the graphs that a node holds."""
    return [found.as_graph() for found in node.attributes.values() if found.type == ir.AttributeType.GRAPH]


def every_node(nodes: Iterable[ir.Node]) -> Iterator[ir.Node]:
    """Yield each of the nodes and, behind it, those of its bodies, however deep."""
    for node in nodes:
        yield node
        for body in bodies(node):
            yield from every_node(body)


def reads(node: ir.Node) -> list[ir.Value | None]:
    """Return what a node reads: its inputs by place, and behind them what its bodies read from around them."""
    return [*node.inputs, *_captured(node)] if node.attributes and bodies(node) else list(node.inputs)


def _captured(node: ir.Node) -> list[ir.Value]:
    inner, own = list(every_node([node]))[1:], set[ir.Value]()
    for holder in (node, *inner):
        for body in bodies(holder):
            own.update(body.inputs, body.initializers.values())
    own.update(value for each in inner for value in each.outputs)
    read = dict.fromkeys(value for each in inner for value in each.inputs if value is not None)
    return [value for value in read if value not in own]
