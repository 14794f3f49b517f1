"""Where the numbers of a vector of sizes come from: element by element, back to constants and to what Shape tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from engine.graph.edits import kind

Source = tuple[ir.Value, int]
"""A size: that of this axis of this value."""

Element = int | Source | None
"""A number that is known, a size that is told when the network runs, or None: neither."""

_SAME = {"Cast", "Identity", "Squeeze", "Unsqueeze"}
_PICKING = {"Concat", "Gather", "Slice", *_SAME}
"""Operators that hand on elements of vectors as they are."""


def elements(value: ir.Value | None) -> list[Element] | None:
    """Return where each number of a vector, or a single number, comes from; None where even their count is open."""
    numbers = constant_numbers(value)
    if value is None or numbers is not None:
        return None if numbers is None else list(numbers)
    node = value.producer()
    found = _made_by(node) if node is not None else None
    return found if found is not None else _unknown(value)


def constant_numbers(value: ir.Value | None) -> list[int] | None:
    """Return the numbers of an integer constant, None for anything else."""
    if value is None or value.is_graph_input() or value.const_value is None:
        return None
    return [int(number) for number in value.const_value.numpy().reshape(-1)]


def final_uses(value: ir.Value) -> Iterator[tuple[ir.Node, int]]:
    """Yield where a vector, or what picks elements of it, comes to mean something: node and place among its inputs."""
    for use in value.uses():
        if _hands_on(use.node, use.idx):
            yield from final_uses(use.node.outputs[0])
        else:
            yield use.node, use.idx


def reaches_output(value: ir.Value) -> bool:
    """Tell whether a vector of sizes, or part of it, is an output of the graph."""
    if value.is_graph_output():
        return True
    return any(reaches_output(use.node.outputs[0]) for use in value.uses() if _hands_on(use.node, use.idx))


def _hands_on(node: ir.Node, index: int) -> bool:
    return kind(node) in _PICKING and (index == 0 or kind(node) == "Concat") and _made_by(node) is not None


def _made_by(node: ir.Node) -> list[Element] | None:
    read = node.inputs[0] if node.inputs else None
    if kind(node) == "Shape" and read is not None and read.shape is not None:
        places = range(len(read.shape))
        return [(read, axis) for axis in places[node.attributes.get_int("start", 0) : _end(node, len(places))]]
    if kind(node) == "Concat":
        pieces = [elements(piece) for piece in node.inputs]
        return None if None in pieces else [element for piece in pieces for element in piece or ()]
    known = elements(read) if kind(node) in _PICKING else None
    if known is None or kind(node) in _SAME:
        return known
    return _gathered(node, known) if kind(node) == "Gather" else _sliced(node, known)


def _gathered(node: ir.Node, known: Sequence[Element]) -> list[Element] | None:
    places = constant_numbers(node.inputs[1])
    return None if places is None else [known[place] for place in places]


def _sliced(node: ir.Node, known: Sequence[Element]) -> list[Element] | None:
    numbers = [constant_numbers(value) for value in node.inputs[1:] if value is not None]
    bounds = [number[0] for number in numbers if number is not None and len(number) == 1]
    if len(bounds) != len(node.inputs) - 1 or len(bounds) < 2:
        return None
    return list(known[bounds[0] : bounds[1] : bounds[3] if len(bounds) > 3 else 1])


def _end(node: ir.Node, rank: int) -> int:
    return node.attributes.get_int("end", rank)


def _unknown(value: ir.Value) -> list[Element] | None:
    """Return as many unknown elements as the value is long."""
    shape = value.shape
    if shape is None or len(shape) > 1 or any(not isinstance(size, int) for size in shape):
        return None
    return [None] * (shape[0] if len(shape) and isinstance(shape[0], int) else 1)
