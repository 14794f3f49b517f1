"""What the search for units asks a graph again and again: order, ways, and which values carry no data of the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from engine.graph.bodies import bodies, every_node, reads
from engine.graph.edits import kind

_SHAPE_READERS = {"Shape", "Size"}
_CONTRACTIONS = {"Conv", "ConvTranspose", "DeformConv", "Einsum", "Gemm", "GRU", "LSTM", "MatMul", "RNN"}


class View:
    """A graph in order, with the values that every way to a value leads through: its chain of dominators.

    Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm", 2001; a graph without circles needs one pass.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.nodes = {str(node.name): node for node in graph}
        self.positions = {name: index for index, name in enumerate(self.nodes)}
        self.static: set[ir.Node] = set()
        self._dominator: dict[ir.Value, ir.Value | None] = {}
        self._depth: dict[ir.Value, int] = {}
        self._shapes: dict[ir.Value, tuple[int | str, ...] | None] = {}
        for node in graph:
            if kind(node) in _SHAPE_READERS or all(self.is_static(value) for value in reads(node)):
                self.static.add(node)
            else:
                self._place(node)

    def is_static(self, value: ir.Value | None) -> bool:
        """Say whether a value follows from weights and shapes alone."""
        if value is None or value.is_initializer():
            return True
        producer = value.producer()
        return producer is not None and producer in self.static

    def position(self, value: ir.Value) -> int:
        """Return where a value is made; graph inputs come before every node."""
        producer = value.producer()
        return -1 if producer is None else self.positions[str(producer.name)]

    def dominators(self, value: ir.Value) -> Iterator[ir.Value]:
        """Yield the values that every way from the inputs to this one leads through, the nearest first."""
        above = self._dominator.get(value)
        while above is not None:
            yield above
            above = self._dominator.get(above)

    def ancestors(self, values: Iterable[ir.Value]) -> set[ir.Node]:
        """Return every node that one of these values follows from."""
        found: set[ir.Node] = set()
        open_values = list(values)
        while open_values:
            node = open_values.pop().producer()
            if node is not None and node not in found:
                found.add(node)
                open_values += [value for value in reads(node) if value is not None]
        return found

    def has_same_shape(self, *values: ir.Value) -> bool:
        """Say whether all shapes are known to agree: same rank, same numbers, same names where a size has no number."""
        for value in values:
            if value not in self._shapes:
                self._shapes[value] = _shape_of(value)
        first = self._shapes[values[0]]
        return first is not None and all(self._shapes[value] == first for value in values)

    def in_order(self, region: Iterable[ir.Node]) -> list[ir.Node]:
        return sorted(region, key=lambda node: self.positions[str(node.name)])

    def region(self, source: ir.Value, target: ir.Value) -> set[ir.Node] | None:
        """Return the nodes between source and target, or None where a way leads round the source."""
        region: set[ir.Node] = set()
        open_values, start = [target], self.position(source)
        while open_values:
            value = open_values.pop()
            if value is source or self.is_static(value):
                continue
            node = value.producer()
            if node is None or self.position(value) <= start:
                return None
            if node not in region:
                region.add(node)
                open_values += [value for value in reads(node) if value is not None]
        return region | self._own_static_nodes(region)

    def holds_weights(self, region: Iterable[ir.Node]) -> frozenset[ir.Node]:
        """Return the nodes that multiply what comes in by a weight: convolutions and linear layers."""
        return frozenset(
            node
            for node in region
            if kind(node) in _CONTRACTIONS
            and node not in self.static
            and any(value is not None and self.is_static(value) for value in node.inputs)
        )

    def _place(self, node: ir.Node) -> None:
        """Give what a node makes its place in the tree of dominators."""
        carrying = [value for value in reads(node) if value is not None and not self.is_static(value)]
        nearest: ir.Value | None = carrying[0]
        for value in carrying[1:]:
            nearest = self._common(nearest, value)
        for made in node.outputs:
            self._dominator[made] = nearest
            self._depth[made] = 0 if nearest is None else self._depth.get(nearest, 0) + 1

    def _common(self, a: ir.Value | None, b: ir.Value | None) -> ir.Value | None:
        while a is not None and b is not None and a is not b:
            if self._depth.get(a, 0) > self._depth.get(b, 0):
                a = self._dominator.get(a)
            elif self._depth.get(b, 0) > self._depth.get(a, 0):
                b = self._dominator.get(b)
            else:
                a, b = self._dominator.get(a), self._dominator.get(b)
        return None if a is None or b is None else a

    def _own_static_nodes(self, region: set[ir.Node]) -> set[ir.Node]:
        """Return the shape arithmetic that only the region reads: it goes with the region."""
        own: set[ir.Node] = set()
        open_nodes = list(region)
        while open_nodes:
            for value in reads(open_nodes.pop()):
                node = None if value is None else value.producer()
                if node in self.static and node not in own and _readers(node) <= region | own:
                    assert node is not None
                    own.add(node)
                    open_nodes.append(node)
        return own


def is_closed(region: set[ir.Node], target: ir.Value) -> bool:
    """Say whether nothing inside is read from outside, but for the target; the bodies of nodes inside are inside."""
    inside = set(every_node(region)) if any(map(bodies, region)) else region
    return all(
        value is target or (not value.is_graph_output() and all(use.node in inside for use in value.uses()))
        for node in region
        for value in node.outputs
    )


def _shape_of(value: ir.Value) -> tuple[int | str, ...] | None:
    """Return sizes, and names where a size has no number; None where a size has neither."""
    sizes = [size if isinstance(size, int) else size.value for size in value.shape or ()]
    numbers = tuple(size for size in sizes if size is not None)
    return numbers if value.shape is not None and len(numbers) == len(sizes) else None


def _readers(node: ir.Node | None) -> set[ir.Node]:
    assert node is not None
    return {use.node for value in node.outputs for use in value.uses()}
