"""The only file that removes anything from a graph."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from engine.graph.edits import remove_dead, replace_value
from engine.graph.model import Model
from engine.graph.units import Unit


def remove_units(model: Model, units: Iterable[Unit]) -> Model:
    """Return a new model without these units; order does not matter, nor whether one lies inside another.

    Readers of each sum read its source instead; everything else stays as it is, so that values keep their names.
    """
    cut = model.copy()
    nodes = cut.nodes()
    # places are looked up before anything goes: afterwards a branch that ends in an inner sum has another name
    places = [(nodes[unit.join], _place_of(unit.source, nodes[unit.join])) for unit in units]
    for join, place in places:
        source = join.inputs[place]
        assert source is not None
        replace_value(cut, join.outputs[0], source)
    remove_dead(cut)
    return cut


def _place_of(name: str, node: ir.Node) -> int:
    return next(place for place, value in enumerate(node.inputs) if value is not None and value.name == name)
