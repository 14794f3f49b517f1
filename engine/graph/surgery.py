"""The only file that removes anything from a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from engine.graph.edits import remove_dead, replace_value
from engine.graph.model import Model
from engine.graph.units import Unit


def remove_units(model: Model, units: Iterable[Unit]) -> Model:
    """Return a new model without these units; order does not matter, nor whether one lies inside another.

    Readers of each target read its source instead; everything else stays as it is, so that values keep their names.
    """
    cut = model.copy()
    nodes, values = cut.nodes(), cut.values()
    order = {name: place for place, name in enumerate(nodes)}
    # places are looked up before anything goes: afterwards a branch that ends in an inner sum has another name
    places = [(values[unit.target], *_entry(unit, nodes)) for unit in sorted(units, key=lambda unit: order[unit.join])]
    for target, entry, place in places:
        source = entry.inputs[place]
        assert source is not None
        replace_value(cut, target, source)
    remove_dead(cut)
    return cut


def _entry(unit: Unit, nodes: Mapping[str, ir.Node]) -> tuple[ir.Node, int]:
    """Return where the source is read: by the sum of a branch, by the first node of what has no sum."""
    readers = [nodes[unit.join]] if unit.kind == "branch" else [nodes[name] for name in (*unit.nodes, unit.join)]
    return next(
        (node, place)
        for node in readers
        for place, value in enumerate(node.inputs)
        if value is not None and value.name == unit.source
    )
