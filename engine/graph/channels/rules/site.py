"""What a rule sees of the graph: one node, the axes that it reads and writes, and a place to note what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from engine.graph.channels.axes import ONE, Atom, Form, Why, freeze, unify
from engine.graph.channels.kept import Kept
from engine.graph.edits import add_initialiser, free_name
from engine.graph.model import Model

Axes = tuple[Form, ...]


class Opaque(Exception):
    """A rule cannot say how channels pass through this node: everything that it touches is frozen."""


@dataclass(frozen=True)
class Reader:
    """A node that sums over the axis of one of its inputs: what it reads there may go without another's notice."""

    node: str
    index: int
    axis: int
    rank: int
    form: Form


@dataclass
class Flow:
    """The forms of all axes of a graph, and what has to be rewritten when some of them lose positions.

    An initialiser with no more than one axis longer than 1 has its forms for each use: a row of zeros that an exporter
    shares among strangers does not tie them together.
    """

    axes: dict[ir.Value, Axes | None] = field(default_factory=dict)
    uses: dict[tuple[ir.Node, int], Axes] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)
    edits: dict[str, list[Callable[[Edit], None]]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


class Edit:
    """One node of the smaller graph, about to be rewritten. `kept` tells what stays of each form."""

    def __init__(self, model: Model, node: ir.Node, kept: Kept) -> None:
        self.model = model
        self.node = node
        self.kept = kept

    def count(self, form: Form) -> int:
        return self.kept.count(form)

    def changes(self, *forms: Form) -> bool:
        return any(self.kept.changes(form) for form in forms)

    def set_integer(self, name: str, number: int) -> None:
        self.node.attributes[name] = ir.AttrInt64(name, number)

    def set_integers(self, name: str, numbers: Sequence[int]) -> None:
        self.node.attributes[name] = ir.AttrInt64s(name, list(numbers))

    def set_numbers(self, index: int, numbers: NDArray[np.int64] | Sequence[int]) -> None:
        """Give an input new numbers, in a constant of the node's own where anybody else reads the old one."""
        old = self.node.inputs[index] if index < len(self.node.inputs) else None
        dtype = np.int64 if old is None or old.const_value is None else old.const_value.dtype.numpy()
        array = np.asarray(numbers, dtype)
        if old is not None and old.is_initializer() and len(old.uses()) == 1 and not old.is_graph_output():
            self.model.set_weight(str(old.name), array)
        else:
            self.set_input(index, self.add_constant(array))

    def set_input(self, index: int, value: ir.Value) -> None:
        if index >= len(self.node.inputs):
            self.node.resize_inputs(index + 1)
        self.node.replace_input_with(index, value)

    def add_constant(self, array: NDArray[np.generic]) -> ir.Value:
        """Return a new initialiser."""
        return add_initialiser(self.model, f"{self.node.name}.numbers", array)

    def add_node(self, op_type: str, inputs: Sequence[ir.Value], shape: ir.Shape, **attributes: int) -> ir.Value:
        """Return what a new node in front of this one makes: a vector of numbers."""
        name = free_name(f"{self.node.name}.{op_type}", self.model.names())
        node = ir.node(op_type, inputs, attributes, name=name)
        made = node.outputs[0]
        made.name, made.dtype, made.shape = name, ir.DataType.INT64, shape
        self.model.graph.insert_before(self.node, node)
        return made


class Site:
    """One node while its rule looks at it. What a rule cannot tell it refuses with Opaque; it never guesses."""

    def __init__(self, flow: Flow, node: ir.Node, opset: int) -> None:
        self.flow = flow
        self.node = node
        self.opset = opset
        self._readers: list[Reader] = []
        self._edits: list[Callable[[Edit], None]] = []
        self._followed: set[int] = set()

    def commit(self) -> None:
        """Let the flow have what the rule noted, once it is through. Inputs that it did not follow are frozen."""
        for value in self.node.outputs:
            if value.name and value not in self.flow.axes:
                raise Opaque(f"the rule says nothing of output '{value.name}'")
        for index in range(len(self.node.inputs)):
            if self.has(index) and index not in self._followed:
                for form in self._axes(index) or ():
                    self.fix(form)
        self.flow.readers += self._readers
        if self._edits:
            self.flow.edits[str(self.node.name)] = self._edits

    # what the node reads

    def has(self, index: int) -> bool:
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def has_output(self, index: int) -> bool:
        """Tell whether an optional output is wanted by anybody."""
        if index >= len(self.node.outputs):
            return False
        value = self.node.outputs[index]
        return bool(value.name) and (bool(value.uses()) or value.is_graph_output())

    def value(self, index: int) -> ir.Value:
        value = self.node.inputs[index] if self.has(index) else None
        if value is None:
            raise Opaque(f"input {index} is missing")
        return value

    def axes(self, index: int) -> Axes:
        """Return the forms of an input's axes. Whoever asks answers for them: they are followed from here on."""
        self._followed.add(index)
        found = self._axes(index)
        if found is None:
            raise Opaque(f"the shape of '{self.value(index).name}' is not known")
        return found

    def is_constant(self, index: int) -> bool:
        return self.has(index) and is_constant(self.value(index))

    def numbers(self, index: int) -> list[int] | None:
        """Return the integers of a constant input, None where they are worked out when the network runs.

        What is read as numbers carries no channels, whatever is known of it.
        """
        value = self.value(index)
        if not is_constant(value) or value.const_value is None:
            return None
        return [int(number) for number in value.const_value.numpy().reshape(-1)]

    def integer(self, name: str, default: int) -> int:
        return self.node.attributes.get_int(name, default)

    def integers(self, name: str) -> list[int] | None:
        attribute = self.node.attributes.get(name)
        return None if attribute is None else [int(number) for number in attribute.as_ints()]

    def string(self, name: str, default: str) -> str:
        return self.node.attributes.get_string(name, default)

    def axis(self, name: str, default: int, rank: int) -> int:
        return in_range(self.integer(name, default), rank)

    def output_axes(self, index: int = 0, *, rank: int | None = None) -> Axes:
        """Return new forms for an output's axes, as long as shape inference says; `rank` helps where it is silent."""
        fresh = new_axes(self.node.outputs[index])
        if fresh is None and rank is not None:
            return tuple(Atom(None) for _ in range(rank))
        if fresh is None:
            raise Opaque(f"the shape of '{self.node.outputs[index].name}' is not known")
        return fresh

    # what the rule says

    def write(self, axes: Sequence[Form], index: int = 0) -> None:
        """Give an output its forms; they must be as long as shape inference says."""
        if index >= len(self.node.outputs) or not self.node.outputs[index].name:
            return
        value = self.node.outputs[index]
        if value.shape is not None:
            sizes = [size if isinstance(size, int) else None for size in value.shape]
            found = [form.size for form in axes]
            if len(sizes) != len(found) or any(a != b for a, b in zip(sizes, found, strict=True) if a and b):
                raise Opaque(f"the shape of '{value.name}' should be {found} and is said to be {sizes}")
        self.flow.axes[value] = tuple(axes)

    def unify(self, a: Form, b: Form) -> None:
        unify(a, b, self.why("two of its axes cannot be aligned"))

    def freeze(self, form: Form, reason: str) -> None:
        freeze(form, self.why(reason))

    def fix(self, form: Form) -> None:
        """Freeze as a matter of course: taps of a kernel, rows and columns of an image."""
        freeze(form, self.why("no channel", silent=True))

    def fix_output(self, index: int = 0) -> None:
        """Give an output forms of its own that no channel passes into."""
        axes = self.output_axes(index)
        for form in axes:
            self.fix(form)
        self.write(axes, index)

    def sums_over(self, index: int, axis: int) -> None:
        """Note that the node sums over this axis of this input, so that its channels end here."""
        axes = self.axes(index)
        self._readers.append(Reader(str(self.node.name), index, axis, len(axes), axes[axis]))

    def on_cut(self, edit: Callable[[Edit], None]) -> None:
        """Note what has to be rewritten in a smaller graph."""
        self._edits.append(edit)

    def _axes(self, index: int) -> Axes | None:
        return axes_read(self.flow, self.node, index, self.value(index))

    def why(self, reason: str, *, silent: bool = False) -> Why:
        return Why(str(self.node.name), self.node.op_type, reason, silent)


def axes_read(flow: Flow, node: ir.Node, index: int, value: ir.Value) -> Axes | None:
    """Return the forms of what a node reads at an input, making them where a constant is seen for the first time."""
    if value.is_initializer() and is_vector(value):
        if (node, index) not in flow.uses:
            flow.uses[node, index] = new_axes(value) or ()
        return flow.uses[node, index]
    if value not in flow.axes:
        flow.axes[value] = new_axes(value)
    return flow.axes[value]


def new_axes(value: ir.Value) -> Axes | None:
    """Return new forms for the axes of a value, None where its rank is not known."""
    if value.shape is None:
        return None
    return tuple(_new_form(size) for size in value.shape)


def is_constant(value: ir.Value) -> bool:
    return value.is_initializer() and not value.is_graph_input()


def is_vector(value: ir.Value) -> bool:
    """Tell whether at most one axis is longer than 1."""
    return value.shape is not None and sum(size != 1 for size in value.shape) <= 1


def in_range(axis: int, rank: int) -> int:
    """Return an axis counted from the front."""
    if not -rank <= axis < max(rank, 1):
        raise Opaque(f"axis {axis} is not one of {rank}")
    return axis + rank if axis < 0 else axis


def _new_form(size: int | ir.SymbolicDim) -> Form:
    if isinstance(size, int):
        return ONE if size == 1 else Atom(size)
    return Atom(None, symbol=size.value)
