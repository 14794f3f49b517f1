"""Operators that exporters spell out, one a file: found in a graph, and written as the one operator that they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.graph.edits import add_initialiser, make_instead, remove_dead
from engine.graph.idioms import gelu, group_norm, hard_swish, layer_norm
from engine.graph.idioms.attention import Attention, find_attention
from engine.graph.idioms.reading import Match, sizes
from engine.graph.model import Model

__all__ = ["IDIOMS", "Attention", "Idiom", "Match", "find", "find_attention", "recognise"]


@dataclass(frozen=True)
class Idiom:
    """`match` is asked at each node whose type is one of `anchors`; the operator stands for it from opset `since` on.

    `since` is None where ONNX Runtime is slower with the operator: then the idiom is only found.
    """

    anchors: tuple[str, ...]
    match: Callable[[ir.Node], Match | None]
    since: int | None


IDIOMS: dict[str, Idiom] = {
    "LayerNormalization": Idiom(layer_norm.ANCHORS, layer_norm.match, since=17),
    "Gelu": Idiom(gelu.ANCHORS, gelu.match, since=20),
    "HardSwish": Idiom(hard_swish.ANCHORS, hard_swish.match, since=14),
    "GroupNormalization": Idiom(group_norm.ANCHORS, group_norm.match, since=None),
}


def find(model: Model, name: str) -> list[Match]:
    """Return every place of a normalised graph where the operator of this name is spelled out, in the graph's order."""
    places = (_match(IDIOMS[name], node) for node in model.graph)
    return [place for place in places if place is not None]


def recognise(model: Model) -> int:
    """Write, in place, what is spelled out as the operator that it is, where the opset has it; return how many were.

    The operator makes the value that the last of the nodes made, under its name.
    """
    count = 0
    for name, idiom in IDIOMS.items():
        if idiom.since is None or model.opset < idiom.since:
            continue
        for node in list(model.graph):
            place = _match(idiom, node) if node.graph is not None else None
            if place is not None:
                _write(model, name, place)
                count += 1
    if count:
        remove_dead(model)
    return count


def _match(idiom: Idiom, node: ir.Node) -> Match | None:
    return idiom.match(node) if node.op_type in idiom.anchors and not node.domain else None


def _write(model: Model, op_type: str, place: Match) -> None:
    inputs = list(place.inputs)
    if op_type == "LayerNormalization" and inputs[1] is None:
        inputs[1] = _ones(model, place)
    while inputs[-1] is None:
        inputs.pop()
    last = place.output.producer()
    assert last is not None
    make_instead(model, place.output, [ir.node(op_type, inputs, dict(place.attributes), name=f"{last.name}_{op_type}")])
    _remove(model, set(place.nodes))


def _remove(model: Model, nodes: set[ir.Node]) -> None:
    """Take out nodes that only read one another, last ones first."""
    while nodes:
        unread = {node for node in nodes if not any(value.uses() for value in node.outputs)}
        model.graph.remove(unread, safe=True)
        nodes -= unread


def _ones(model: Model, place: Match) -> ir.Value:
    """Return the scale of a norm that has none."""
    x, axis = place.inputs[0], place.attributes["axis"]
    shape = sizes(x)
    assert x is not None
    assert x.dtype is not None
    assert shape is not None
    assert isinstance(axis, int)
    ones = np.ones([size for size in shape[axis:] if isinstance(size, int)], x.dtype.numpy())
    return add_initialiser(model, f"{place.output.name}_scale", ones)
