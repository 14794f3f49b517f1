"""Units: what can be removed whole and leave a valid graph. Found from the graph alone: no names, no classes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from engine.graph.model import Model

_SHAPE_READERS = {"Shape", "Size"}


@dataclass(frozen=True)
class Unit:
    """An identity-skip branch: `target` = `source` + `branch`, the sum made by the node `join`.

    `nodes` are the branch's nodes in the graph's order, without the join. `name` is the join's, as the user gave it.
    """

    name: str
    source: str
    target: str
    nodes: tuple[str, ...]
    join: str
    branch: str


def find_units(model: Model) -> list[Unit]:
    """Return every identity-skip branch that holds weights, sources in topological order.

    An Add of two values of equal shape joins a unit where (1) one operand, the source, lies on every path from the
    graph's inputs to the other, the branch; paths that carry only shapes do not count; (2) nothing inside the branch is
    read from outside it; (3) the branch reads a weight, so that the x + x³ of a spelled-out GELU is not taken for one.
    """
    view = _GraphView(model.graph)
    found = [unit for node in model.graph if (unit := view.unit_at(node)) is not None]
    values = model.values()
    return sorted(found, key=lambda unit: (view.position(values[unit.source]), view.positions[unit.join]))


def contains(outer: Unit, inner: Unit) -> bool:
    """Say whether one unit lies inside the branch of another and so goes with it; no unit contains itself."""
    return inner.join in outer.nodes


def signature(model: Model, unit: Unit) -> str:
    """Return a string that isomorphic units share: same operators, attributes, weight and activation shapes."""
    nodes, numbers = model.nodes(), {unit.source: "source"}
    lines = []
    for name in unit.nodes:
        node = nodes[name]
        reads = [_read_as(value, numbers) for value in node.inputs]
        attributes = sorted(_attribute_as(attribute) for attribute in node.attributes.values())
        for value in node.outputs:
            numbers[str(value.name)] = str(len(numbers))
        lines.append(f"{node.domain}.{node.op_type} {attributes} {reads} {[_shape_as(v) for v in node.outputs]}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


class _GraphView:
    """What the search asks the graph again and again: order, and which values carry no data of the input."""

    def __init__(self, graph: ir.Graph) -> None:
        self.positions = {str(node.name): index for index, node in enumerate(graph)}
        self.static: set[ir.Node] = set()
        for node in graph:
            if node.op_type in _SHAPE_READERS or all(self.is_static(value) for value in node.inputs):
                self.static.add(node)

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

    def unit_at(self, join: ir.Node) -> Unit | None:
        """Return the unit that this node joins, if it is such a node."""
        if join.op_type != "Add" or None in join.inputs:
            return None
        source, branch = sorted((value for value in join.inputs if value is not None), key=self.position)
        if self.is_static(source) or self.is_static(branch) or not _same_shape(source, branch, join.outputs[0]):
            return None
        region = self._region(source, branch)
        if region is None or not _is_closed(region, branch, join) or not _reads_a_weight(region):
            return None
        names = sorted((str(node.name) for node in region), key=self.positions.__getitem__)
        return Unit(
            name=str(join.name),
            source=str(source.name),
            target=str(join.outputs[0].name),
            nodes=tuple(names),
            join=str(join.name),
            branch=str(branch.name),
        )

    def _region(self, source: ir.Value, branch: ir.Value) -> set[ir.Node] | None:
        """Return the nodes between source and branch, or None where a path goes round the source."""
        region: set[ir.Node] = set()
        open_values, start = [branch], self.position(source)
        while open_values:
            value = open_values.pop()
            if value is source or self.is_static(value):
                continue
            node = value.producer()
            if node is None or self.position(value) <= start:
                return None
            if node not in region:
                region.add(node)
                open_values += [value for value in node.inputs if value is not None]
        return region | self._own_static_nodes(region)

    def _own_static_nodes(self, region: set[ir.Node]) -> set[ir.Node]:
        """Return the shape arithmetic that only the region reads: it goes with the region."""
        own: set[ir.Node] = set()
        open_nodes = list(region)
        while open_nodes:
            for value in open_nodes.pop().inputs:
                node = None if value is None else value.producer()
                if node in self.static and node not in own and _readers(node) <= region | own:
                    assert node is not None
                    own.add(node)
                    open_nodes.append(node)
        return own


def _readers(node: ir.Node | None) -> set[ir.Node]:
    assert node is not None
    return {use.node for value in node.outputs for use in value.uses()}


def _same_shape(*values: ir.Value) -> bool:
    """Say whether all shapes are known to agree: same rank, same numbers, same names where a size has no number."""
    shapes = [value.shape for value in values]
    if any(shape is None for shape in shapes):
        return False
    first, *others = [tuple(shape) for shape in shapes if shape is not None]
    return all(len(other) == len(first) and all(map(_same_size, first, other)) for other in others)


def _same_size(a: int | ir.SymbolicDim, b: int | ir.SymbolicDim) -> bool:
    return a == b and (isinstance(a, int) or a.value is not None)


def _is_closed(region: set[ir.Node], branch: ir.Value, join: ir.Node) -> bool:
    """Say whether nothing inside is read from outside: the branch by the join alone, all else by the region alone."""
    for node in region:
        for value in node.outputs:
            allowed = {join} if value is branch else region
            if value.is_graph_output() or any(use.node not in allowed for use in value.uses()):
                return False
    return len(list(branch.uses())) == 1


def _reads_a_weight(region: Iterable[ir.Node]) -> bool:
    return any(value.const_value is not None and value.const_value.size > 1 for value in _float_weights(region))


def _float_weights(region: Iterable[ir.Node]) -> Iterator[ir.Value]:
    for node in region:
        for value in node.inputs:
            if (
                value is not None
                and value.is_initializer()
                and value.dtype is not None
                and value.dtype.is_floating_point()
            ):
                yield value


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
