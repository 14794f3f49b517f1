"""Groups: channels that must go together, wherever they occur. Found from the graph alone, and never guessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import onnx_ir as ir

from engine.graph.channels.axes import Atom, Form, Why, leaves
from engine.graph.channels.flow import follow
from engine.graph.channels.kept import Indices, positions
from engine.graph.channels.rules.site import Axes, Flow, is_vector
from engine.graph.model import Model


@dataclass(frozen=True, eq=False)
class Place:
    """Where a group lies: along this axis of this value, whose form has the group's atom in it."""

    value: str
    axis: int
    form: Form = field(repr=False)
    atom: Atom = field(repr=False)

    @cached_property
    def positions(self) -> Indices:
        """Return shape (size, n): positions[c] are the indices along the axis that go with channel c."""
        return positions(self.form, self.atom)


@dataclass(frozen=True, eq=False)
class Group:
    """`size` channels that may go one by one, as long as one stays.

    `name` is that of the first node that writes them, with a number where it writes several groups. `readers` are the
    nodes that sum over them, in the graph's order.
    """

    name: str
    size: int
    places: tuple[Place, ...]
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Frozen:
    """An axis of weights of which nothing can go, and the node that is to blame: none where the network ends."""

    value: str
    axis: int
    node: str
    op_type: str
    reason: str


@dataclass(frozen=True)
class Grouping:
    """All groups of a network, what is frozen and why, and the nodes that no rule knows."""

    groups: tuple[Group, ...]
    frozen: tuple[Frozen, ...]
    unknown: tuple[str, ...]


def find_groups(model: Model) -> Grouping:
    """Return the groups of a normalised network, in the order in which its nodes write them.

    Order and content follow from the graph alone: other names for nodes and values change nothing but the names.
    """
    flow = follow(model)
    named = name_atoms(model, flow)
    places: dict[Atom, list[Place]] = {atom: [] for atom in named.values()}
    for value, axis, form in _all_axes(model, flow):
        for atom in dict.fromkeys(leaves(form)):
            if atom in places:
                places[atom].append(Place(str(value.name), axis, form, atom))
    readers = _readers(flow)
    groups = [Group(name, atom.size or 0, tuple(places[atom]), readers.get(atom, ())) for name, atom in named.items()]
    return Grouping(tuple(groups), tuple(_frozen(model, flow)), tuple(flow.unknown))


def name_atoms(model: Model, flow: Flow) -> dict[str, Atom]:
    """Return the atoms whose channels may go, by the name of the group that they are, in topological order."""
    named: dict[str, Atom] = {}
    seen: set[Atom] = set()
    for node in model.graph:
        for value in node.outputs:
            for form in flow.axes.get(value) or ():
                for atom in leaves(form):
                    if atom not in seen and atom.frozen is None and atom.size is not None and atom.size > 1:
                        named[_free_name(str(node.name), named)] = atom
                    seen.add(atom)
    return named


def initialiser_axes(model: Model, flow: Flow) -> Iterator[tuple[ir.Value, Axes]]:
    """Yield each initialiser with the forms that it is read with; those with forms for each use once for each use."""
    uses: dict[ir.Value, list[Axes]] = {}
    for (node, index), axes in flow.uses.items():
        value = node.inputs[index]
        assert value is not None
        uses.setdefault(value, []).append(axes)
    for value in model.graph.initializers.values():
        if is_vector(value):
            yield from ((value, axes) for axes in uses.get(value, ()))
        elif flow.axes.get(value) is not None:
            yield value, flow.axes[value] or ()


def _all_axes(model: Model, flow: Flow) -> Iterator[tuple[ir.Value, int, Form]]:
    """Yield every axis of known size: of initialisers first, then of what the nodes write, in the graph's order."""
    for value, axes in initialiser_axes(model, flow):
        yield from ((value, axis, form) for axis, form in enumerate(axes))
    for node in model.graph:
        for value in node.outputs:
            for axis, form in enumerate(flow.axes.get(value) or ()):
                if form.size is not None:
                    yield value, axis, form


def _readers(flow: Flow) -> dict[Atom, tuple[str, ...]]:
    found: dict[Atom, dict[str, None]] = {}
    for reader in flow.readers:
        for atom in leaves(reader.form):
            found.setdefault(atom, {})[reader.node] = None
    return {atom: tuple(names) for atom, names in found.items()}


def _frozen(model: Model, flow: Flow) -> Iterator[Frozen]:
    """Yield each axis of weights that is frozen for a reason worth telling, once for each reason."""
    seen: set[tuple[ir.Value, int, Why]] = set()
    for value, axes in initialiser_axes(model, flow):
        for axis, form in enumerate(axes):
            for atom in leaves(form):
                why = atom.frozen
                if why is None or why.silent or atom.size == 1 or (value, axis, why) in seen:
                    continue
                seen.add((value, axis, why))
                yield Frozen(str(value.name), axis, why.node, why.op_type, why.reason)


def _free_name(stem: str, taken: dict[str, Atom]) -> str:
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}:{number}"
    return name
