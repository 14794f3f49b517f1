"""Graphs inside the nodes of an ONNX file: the branches of an If, the bodies of a Loop or a Scan."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import AttributeProto


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """Return the graphs that a node holds."""
    return [attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]


def every_graph(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graph and all that its nodes hold, however deep; the look at the bytes has bounded that."""
    yield graph
    for node in graph.node:
        for body in bodies(node):
            yield from every_graph(body)


def names_read(node: onnx.NodeProto) -> set[str]:
    """Return the names that a node reads, those included that its bodies read from around them."""
    return {name for name in node.input if name}.union(*map(_captured, bodies(node)))


def _captured(body: onnx.GraphProto) -> set[str]:
    return set().union(*map(names_read, body.node)) - names_made(body)


def names_made(graph: onnx.GraphProto) -> set[str]:
    """Return the names of what a graph is given, holds and makes."""
    made = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    return made.union(name for node in graph.node for name in node.output if name)
