"""The walk from projections to products: every node that touches a group's numbers, and what it does with them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.graph.channels.groups import Group, Place
from engine.graph.channels.readings import nodes_around
from engine.graph.channels.rules.site import is_vector
from engine.graph.edits import is_constant, kind
from engine.graph.heads.blocks import Bias
from engine.graph.heads.products import Terms, along, last_of, terms_of
from engine.graph.idioms import Attention
from engine.graph.model import Model
from engine.graph.origins import Lost, Origins, move, sizes_of, spread
from engine.graph.writers import Writer, find_layer, groups_of, has_bias, is_transposed, output_channels

_Q, _K, _V = 0, 1, 2


def is_inside_heads(model: Model, group: Group) -> bool:
    """Tell whether a product of two activations, or an Attention, has the group's channels as its rows or columns."""
    nodes = model.nodes()
    return any(
        _is_read_inside(nodes[name], index, place) and _is_within(group, place)
        for name in nodes_around(model, group)
        for place in group.places
        for index, value in enumerate(nodes[name].inputs)
        if value is not None and value.name == place.value
    )


def _is_read_inside(node: ir.Node, index: int, place: Place) -> bool:
    terms = terms_of(node)
    if terms is not None:
        return terms[index][place.axis] not in terms.stacked()
    return kind(node) == "Attention" and index <= _V and place.axis == len(sizes_of(_read(node, index))) - 1


@dataclass(frozen=True, eq=False)
class Written:
    """A layer that writes numbers of heads; the origin of its first column is `start`."""

    layer: Writer
    start: int
    columns: int


class Walk:
    """What was met on the way, all in origins.

    `products` of queries and keys by node: (pairs, 2, size), and whether a softmax over the keys reads them. `mixed`
    values: (heads, size), and whether their weights sum to one. `read` by a layer: (columns,). `biases`: each with the
    origins that its numbers are added to. `reads_scaled`: behind its bias a factor was put on what a layer reads.
    """

    def __init__(self, model: Model, group: Group, attentions: Collection[Attention]) -> None:
        """Raises Lost where anything needs the numbers as they are."""
        self.model, self.group = model, group
        self._scores = {attention.scores for attention in attentions}
        self._weights = {attention.weights for attention in attentions}
        self.written: list[Written] = []
        self.products: dict[str, tuple[Origins, bool]] = {}
        self.mixed: list[tuple[Origins, bool]] = []
        self.read: list[tuple[Writer, Origins]] = []
        self.biases: list[tuple[Bias, Origins]] = []
        self.reads_scaled = False
        self._scaled: set[str | None] = set()
        self._origins: dict[str, Origins] = {}
        self._places: dict[str, list[Place]] = {}
        for place in group.places:
            self._places.setdefault(place.value, []).append(place)
        for node in model.graph:
            if any(value is not None and self._touches(value) for value in (*node.inputs, *node.outputs)):
                self._pass(node)
                self._follow_factors(node)

    def place(self, value: str) -> Place | None:
        """Return where the group lies in a value, None where it does not. Raises Lost where it is in two axes."""
        found = self._places.get(value, [])
        if len({place.axis for place in found}) > 1:
            raise Lost(f"'{value}' has them along two axes")
        return found[0] if found else None

    def _touches(self, value: ir.Value) -> bool:
        """Tell whether a value brings the group to a node; a vector of constants may be shared with strangers."""
        return str(value.name) in self._places and not (value.is_initializer() and is_vector(value))

    def _follow_factors(self, node: ir.Node) -> None:
        """Note what bears a factor: an earlier bias is not what it was, there."""
        read = {value.name for value in node.inputs if value is not None and self._has(value)}
        if kind(node) in ("Mul", "Div") or read & self._scaled:
            self._scaled.update(value.name for value in node.outputs)
            self.reads_scaled |= bool(self.read) and self.read[-1][0].node == node.name

    def _pass(self, node: ir.Node) -> None:
        op_type, layer = kind(node), find_layer(node)
        if layer is not None:
            self._pass_layer(node, layer)
        elif (terms := terms_of(node)) is not None:
            self._pass_product(node, terms)
        elif op_type == "Attention":
            self._pass_attention(node)
        elif op_type in ("Add", "Mul", "Div"):
            self._pass_elementwise(node)
        elif op_type != "Shape":  # what is made of a size is rewritten or frozen by the rules of channels
            for value, origins in zip(node.outputs, move(node, self._of(node, 0)), strict=True):
                self._origins[str(value.name)] = origins

    def _of(self, node: ir.Node, index: int) -> Origins:
        """Return the origins of an input that has the group's channels."""
        value = node.inputs[index] if index < len(node.inputs) else None
        origins = None if value is None or self.place(str(value.name)) is None else self._origins.get(str(value.name))
        if origins is None:
            raise Lost(f"'{node.name}' ({node.op_type}) reads what no linear layer of its own writes")
        return origins

    def _has(self, value: ir.Value | None) -> bool:
        return value is not None and self.place(str(value.name)) is not None

    def _pass_layer(self, node: ir.Node, layer: Writer) -> None:
        weight = self.place(layer.weight)
        out_axis = 0 if kind(node) == "Conv" or is_transposed(node) else 1
        if groups_of(self.model, layer) > 1 or (layer.bias is not None and not has_bias(self.model, layer)):
            raise Lost(f"'{node.name}' ({node.op_type}) is no plain linear layer")
        if weight is not None and weight.axis == out_axis and not self._has(node.inputs[0]):
            start = self.written[-1].start + self.written[-1].columns if self.written else 0
            columns = output_channels(self.model, layer)
            self.written.append(Written(layer, start, columns))
            along = np.arange(start, start + columns)
            rank = len(sizes_of(node.outputs[0]))
            shape = [columns if axis == _channel_axis(node, rank) else 1 for axis in range(rank)]
            self._origins[layer.total] = spread(along.reshape(shape), node.outputs[0])
            if layer.bias is not None:
                self.biases.append((Bias(layer.node, 2, np.arange(columns)), along))
        elif weight is not None and weight.axis == 1 - out_axis:
            origins = self._of(node, 0)
            rows = np.moveaxis(origins, _channel_axis(node, origins.ndim), -1)
            self.read.append((layer, last_of(rows.reshape(1, -1, rows.shape[-1]), node)[0]))
        else:
            raise Lost(f"'{node.name}' ({node.op_type}) both reads and writes them")

    def _pass_product(self, node: ir.Node, terms: Terms) -> None:
        left, right = (self._letter(node, index, terms[index]) for index in (0, 1))
        stack = terms.stacked()
        if left is not None and right is not None:
            if left != right or left in terms.result:
                raise Lost(f"'{node.name}' ({node.op_type}) multiplies all of them with all")
            queries, keys = (along(self._of(node, i), terms[i], f"{stack}{left}", node) for i in (0, 1))
            self._add_product(node, queries, keys, node.outputs[0].name in self._scores)
            return
        index, letters = (0, f"{stack}{left}") if right is None else (1, f"{stack}{right}")
        values = along(self._of(node, index), terms[index], letters, node)
        sums_to_one = index == 1 and _read(node, 0).name in self._weights and terms.left[-1] not in terms.result
        self.mixed.append((values.reshape(-1, self.group.size), sums_to_one))
        self._origins[str(node.outputs[0].name)] = spread(along(values, letters, terms.result, node), node.outputs[0])

    def _letter(self, node: ir.Node, index: int, term: str) -> str | None:
        """Return the letter of the axis that the group is of an operand, None where it is of the other one alone."""
        place = self.place(str(_read(node, index).name))
        if place is None:
            return None
        self._inside(_read(node, index), place.axis)
        return term[place.axis]

    def _pass_attention(self, node: ir.Node) -> None:
        """Opset 23: heads are an axis of four, or outer digits of the last of three; several may share keys."""
        counts = [node.attributes.get_int(name, 0) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
        parts = [
            self._parted(node, index, counts[index]) if self._has(node.inputs[index]) else None for index in range(3)
        ]
        queries = node.inputs[_Q]
        assert queries is not None
        many = counts[_Q] or sizes_of(queries)[1] or 0
        q, k, v = (None if part is None else np.repeat(part, many // part.shape[1], axis=1) for part in parts)
        if (q is None) != (k is None):
            raise Lost(f"'{node.name}' (Attention) has them in queries or in keys alone")
        if q is not None and k is not None:
            self._add_product(node, q, k, not node.attributes.get_float("softcap", 0.0))
        if v is not None:
            self.mixed.append((v.reshape(-1, self.group.size), True))
            in_four = len(sizes_of(node.outputs[0])) == 4
            made = v[..., None, :] if in_four else v.reshape(v.shape[0], 1, -1)
            self._origins[str(node.outputs[0].name)] = spread(made, node.outputs[0])

    def _parted(self, node: ir.Node, index: int, count: int) -> Origins:
        """Return the origins of one of an Attention's inputs as (batch, heads, size)."""
        origins, size = self._of(node, index), self.group.size
        self._inside(node.inputs[index], -1, count if origins.ndim == 3 else 1)
        if origins.ndim == 3:
            origins = origins.reshape(*origins.shape[:2], count, size).transpose(0, 2, 1, 3)
        return last_of(origins, node)

    def _inside(self, value: ir.Value | None, axis: int, heads: int = 1) -> None:
        """Raise Lost unless the group is this axis of a value, so many heads of it side by side."""
        assert value is not None
        place, sizes = self.place(str(value.name)), sizes_of(value)
        is_whole = sizes[axis] == heads * self.group.size
        if place is None or place.axis != axis % len(sizes) or not is_whole or not _is_within(self.group, place):
            raise Lost(f"'{value.name}' has them in another order")

    def _add_product(self, node: ir.Node, queries: Origins, keys: Origins, may_shift: bool) -> None:
        both = np.stack(np.broadcast_arrays(queries, keys), axis=-2)
        self.products[str(node.name)] = (np.unique(both.reshape(-1, 2, self.group.size), axis=0), may_shift)

    def _pass_elementwise(self, node: ir.Node) -> None:
        """A factor that all numbers of a head share changes no origin, nor does a bias that each has of its own."""
        index = 1 if is_constant(node.inputs[0]) or not self._has(node.inputs[0]) else 0
        origins, other = self._of(node, index), node.inputs[1 - index]
        assert other is not None
        if kind(node) == "Add" and is_constant(other) and self._has(other):
            self._add_bias(node, 1 - index, origins)
        elif kind(node) == "Add" or self._has(other) or (kind(node) == "Div" and index):
            raise Lost(f"'{node.name}' ({node.op_type}) treats each of them in its own way")
        self._origins[str(node.outputs[0].name)] = spread(origins, node.outputs[0])

    def _add_bias(self, node: ir.Node, index: int, origins: Origins) -> None:
        value = node.inputs[index]
        assert value is not None
        shape = [size or 1 for size in sizes_of(value)]
        shape = [1] * (origins.ndim - len(shape)) + shape
        if len(shape) > origins.ndim:
            raise Lost(f"'{node.name}' (Add) adds more axes than there are")
        for axis, size in enumerate(shape):
            first = np.take(origins, [0], axis)
            if size == 1 and (origins != first).any():
                raise Lost(f"'{node.name}' (Add) adds one number to several of them")
            origins = first if size == 1 else origins
        flat = np.broadcast_to(origins, shape).reshape(-1)
        if len(np.unique(flat)) < len(flat):
            raise Lost(f"'{node.name}' (Add) adds another bias at each place")
        self.biases.append((Bias(str(node.name), index, np.arange(len(flat))), flat))


def _channel_axis(node: ir.Node, rank: int) -> int:
    return 1 if kind(node) == "Conv" else rank - 1


def _is_within(group: Group, place: Place) -> bool:
    """Tell whether the axis is the group, or heads side by side of each of which it is all the numbers in order."""
    count = place.positions.shape[1]
    return np.array_equal(place.positions, np.arange(group.size)[:, None] + group.size * np.arange(count))


def _read(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value
