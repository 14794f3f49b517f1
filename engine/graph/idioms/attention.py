"""Attention, native or spelled out: scores of queries and keys, a softmax over the keys, a mix of the values."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from engine.graph.edits import kind
from engine.graph.idioms.reading import is_closed, maker, number, numbers, only_reader, sizes
from engine.graph.model import Model

_PRODUCTS = ("MatMul", "Einsum")
_BETWEEN = ("Mul", "Div", "Add", "Sub", "Where", "Reshape")
"""What may stand between the scores and their softmax: scales, masks, and windows parted for the mask and back."""


@dataclass(frozen=True)
class Attention:
    """One attention by the names of its values, before and after their heads are parted; `nodes` from scores to mix.

    `scores` and `weights` are None where one operator does it all.
    """

    queries: str
    keys: str
    values: str
    output: str
    nodes: tuple[str, ...]
    scores: str | None = None
    weights: str | None = None
    mask: str | None = None


def find_attention(model: Model) -> list[Attention]:
    """Return every attention of a normalised graph, in the graph's order. Vaswani et al., 2017. arXiv:1706.03762"""
    found = (_native(node) if kind(node) == "Attention" else _spelled_out(node) for node in model.graph)
    return [attention for attention in found if attention is not None]


def _native(node: ir.Node) -> Attention | None:
    queries, keys, values, mask = (*node.inputs, None, None, None, None)[:4]
    if queries is None or keys is None or values is None:
        return None
    return Attention(
        str(queries.name),
        str(keys.name),
        str(values.name),
        str(node.outputs[0].name),
        (str(node.name),),
        mask=None if mask is None else str(mask.name),
    )


def _spelled_out(softmax: ir.Node) -> Attention | None:
    if kind(softmax) != "Softmax" or not _is_over_keys(softmax):
        return None
    mix = only_reader(softmax.outputs[0], *_PRODUCTS)
    if mix is None or len(mix.inputs) != 2 or mix.inputs[0] is not softmax.outputs[0]:
        return None
    scores, mask, between = _scores(softmax.inputs[0])
    if scores is None or len(scores.inputs) != 2 or _is_constant(scores.inputs[0]) or _is_constant(scores.inputs[1]):
        return None
    queries, before = _unscaled(scores.inputs[0])
    keys, turned = _turned(scores.inputs[1])
    nodes = (*before, *turned, scores, *between, softmax, mix)
    if keys is None or queries is None or not is_closed((scores, *between, softmax, mix), mix.outputs[0]):
        return None
    values = mix.inputs[1]
    assert values is not None
    return Attention(
        str(queries.name),
        str(keys.name),
        str(values.name),
        str(mix.outputs[0].name),
        tuple(str(node.name) for node in nodes),
        str(scores.outputs[0].name),
        str(softmax.outputs[0].name),
        None if mask is None else str(mask.name),
    )


def _is_over_keys(softmax: ir.Node) -> bool:
    shape = sizes(softmax.outputs[0])
    return shape is not None and softmax.attributes.get_int("axis", -1) in (-1, len(shape) - 1)


def _is_constant(value: ir.Value | None) -> bool:
    return value is None or value.const_value is not None


def _scores(value: ir.Value | None) -> tuple[ir.Node | None, ir.Value | None, list[ir.Node]]:
    """Read back from the softmax, past scales and masks, to the product of queries and keys."""
    mask: ir.Value | None = None
    between: list[ir.Node] = []
    while True:
        product = maker(value, *_PRODUCTS)
        if product is not None:
            return product, mask, between[::-1]
        node = maker(value, *_BETWEEN)
        if node is None or node in between:
            return None, None, []
        between.append(node)
        value, added = _less_made_up(node)
        mask = mask if added is None else added


def _less_made_up(node: ir.Node) -> tuple[ir.Value | None, ir.Value | None]:
    """Return the operand that carries the scores, and the mask that the node brings in, if it does."""
    if kind(node) == "Reshape":
        return node.inputs[0], None
    first, second = node.inputs[-2:]
    carrier, brought = (second, first) if _is_constant(first) or not _leads_to_product(first) else (first, second)
    if kind(node) == "Where":
        return carrier, node.inputs[0]
    is_mask = kind(node) in ("Add", "Sub") and number(brought) is None
    return carrier, brought if is_mask else None


def _leads_to_product(value: ir.Value | None) -> bool:
    node = maker(value, *_PRODUCTS, *_BETWEEN)
    if node is None:
        return False
    if kind(node) in _PRODUCTS:
        return not any(_is_constant(operand) for operand in node.inputs)
    return any(_leads_to_product(operand) for operand in node.inputs)


def _unscaled(value: ir.Value | None) -> tuple[ir.Value | None, list[ir.Node]]:
    """Read past a scale that is put on the queries, or the keys, themselves."""
    node = maker(value, "Mul", "Div")
    if node is None or (number(node.inputs[1]) is None and number(node.inputs[0]) is None):
        return value, []
    return (node.inputs[0] if number(node.inputs[1]) is not None else node.inputs[1]), [node]


def _turned(value: ir.Value | None) -> tuple[ir.Value | None, list[ir.Node]]:
    """Read back to the keys past scales and the Transpose of their last two axes, alone or among views."""
    nodes: list[ir.Node] = []
    while True:
        unscaled, scale = _unscaled(value)
        nodes += scale
        node = maker(unscaled, "Transpose", "Reshape")
        if node is None:
            return unscaled, nodes[::-1]
        nodes.append(node)
        if kind(node) == "Transpose":
            return _past_view(node, nodes)
        value = node.inputs[0]


def _past_view(transpose: ir.Node, nodes: list[ir.Node]) -> tuple[ir.Value | None, list[ir.Node]]:
    """Take in the Reshape that makes batch and heads one axis, where the Transpose knows no more, and a scale."""
    view = maker(transpose.inputs[0], "Reshape")
    if view is None or len(transpose.attributes.get_ints("perm", ()) or ()) != 3 or numbers(view.inputs[1]) is None:
        keys, scale = _unscaled(transpose.inputs[0])
        return keys, [*scale, *nodes[::-1]]
    keys, scale = _unscaled(view.inputs[0])
    return keys, [*scale, view, *nodes[::-1]]
