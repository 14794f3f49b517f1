"""How idioms read a graph: who makes a value, which number a constant is, and whether anybody else looks inside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

_TOLERANCE = 2e-6
_TOLERANCES = {ir.DataType.FLOAT16: 1e-3}  # half precision rounds by up to half of this


@dataclass(frozen=True)
class Match:
    """An idiom in a graph: its nodes, the last of which makes `output`, and the operator that it spells out."""

    nodes: tuple[ir.Node, ...]
    inputs: tuple[ir.Value | None, ...]
    output: ir.Value
    attributes: dict[str, int | float | str] = field(default_factory=dict)


def maker(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """Return the node that makes a value, if it is of one of these types."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type in op_types and not node.domain else None


def only_reader(value: ir.Value, *op_types: str) -> ir.Node | None:
    """Return the only node beside it that reads a value, if it is of one of these types and the value is no output."""
    readers = {use.node for use in value.uses()}
    if value.is_graph_output() or len(readers) != 1:
        return None
    (node,) = readers
    return node if node.op_type in op_types and not node.domain and node.graph is value.graph else None


def other(node: ir.Node, value: ir.Value) -> ir.Value | None:
    """Return the other operand of a node that reads this one."""
    a, b = node.inputs
    return b if a is value else a


def number(value: ir.Value | None) -> float | None:
    """Return the one number that a constant holds."""
    tensor = None if value is None else value.const_value
    if tensor is None or tensor.size != 1 or len(tensor.shape) > 1 or tensor.dtype == ir.DataType.STRING:
        return None
    return float(tensor.numpy().item())


def numbers(value: ir.Value | None) -> list[int] | None:
    """Return the integers that a constant vector holds."""
    tensor = None if value is None else value.const_value
    return None if tensor is None else [int(size) for size in tensor.numpy().flatten()]


def tolerance(value: ir.Value | None) -> float:
    """Return how far constants of this value's type may be from exact, relative: a few roundings."""
    return _TOLERANCE if value is None or value.dtype is None else _TOLERANCES.get(value.dtype, _TOLERANCE)


def is_closed(nodes: Iterable[ir.Node], output: ir.Value) -> bool:
    """Say whether nobody outside reads what is made inside, but for the output."""
    inside = set(nodes)
    made = (value for node in inside for value in node.outputs if value is not output)
    return not any(value.is_graph_output() or any(use.node not in inside for use in value.uses()) for value in made)


def sizes(value: ir.Value | None) -> Sequence[int | str | None] | None:
    """Return the shape of a value: numbers, and names of open sizes."""
    if value is None or value.shape is None:
        return None
    return [size if isinstance(size, int) else size.value for size in value.shape]
