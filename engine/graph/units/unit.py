"""What a unit is, and how units compare: one inside another, one like another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from engine.graph.bodies import bodies
from engine.graph.model import Model

Kind = Literal["branch", "run", "activation"]


@dataclass(frozen=True)
class Unit:
    """Nodes that can go together, so that who read `target` reads `source`, a value of the same shape, instead.

    A branch: `target` = `source` + `branch`, the sum made by the node `join`. A run or an activation: `join` is the
    last of its nodes and makes `target`, which is also its `branch`. `nodes` are the others, in the graph's order.
    `name` is the join's, as the user gave it; a run's is that of its last layer, which folding a norm does not change.
    """

    name: str
    source: str
    target: str
    nodes: tuple[str, ...]
    join: str
    branch: str
    kind: Kind = "branch"


def contains(outer: Unit, inner: Unit) -> bool:
    """Say whether one unit lies inside another and so goes with it; no unit contains itself."""
    return inner.join in outer.nodes


def signature(model: Model, unit: Unit) -> str:
    """Return a string that isomorphic units share: same operators, attributes, weight and activation shapes."""
    nodes, names = model.nodes(), unit.nodes if unit.kind == "branch" else (*unit.nodes, unit.join)
    lines = _lines([nodes[name] for name in names], {unit.source: "source"})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _lines(nodes: Iterable[ir.Node], numbers: dict[str, str]) -> Iterator[str]:
    """Yield a line for each node; behind it, those of its bodies. `numbers` grows by what they make."""
    for node in nodes:
        reads = [_read_as(value, numbers) for value in node.inputs]
        plain = [found for found in node.attributes.values() if found.type != ir.AttributeType.GRAPH]
        attributes = sorted(_attribute_as(attribute) for attribute in plain)
        for value in node.outputs:
            numbers[str(value.name)] = str(len(numbers))
        yield f"{node.domain}.{node.op_type} {attributes} {reads} {[_shape_as(v) for v in node.outputs]}"
        for body in bodies(node):
            for value in body.inputs:
                numbers[str(value.name)] = str(len(numbers))
            yield from _lines(body, numbers)
            yield f"{[_read_as(value, numbers) for value in body.outputs]}"


def _read_as(value: ir.Value | None, numbers: dict[str, str]) -> str:
    """Write one input: its number inside the unit; a small integer constant with its contents; else its shape."""
    if value is None:
        return "-"
    if str(value.name) in numbers:
        return numbers[str(value.name)]
    tensor = value.const_value
    if tensor is not None and value.dtype is not None and value.dtype.is_integer() and tensor.size <= 64:
        return f"{value.dtype.name}{tensor.numpy().tolist()}"
    return f"{value.dtype and value.dtype.name}{_shape_as(value)}"


def _attribute_as(attribute: ir.Attr) -> str:
    if attribute.type == ir.AttributeType.TENSOR:
        tensor = attribute.as_tensor()
        return f"{attribute.name}={tensor.dtype.name}{tuple(tensor.shape)}"
    return f"{attribute.name}={attribute.value}"


def _shape_as(value: ir.Value) -> str:
    return "?" if value.shape is None else str([size if isinstance(size, int) else "?" for size in value.shape])
