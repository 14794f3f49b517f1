"""What removed units leave behind: where the graph now reads one value in place of another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx_ir as ir

from engine.graph.edits import kind
from engine.graph.features import Features
from engine.graph.model import Model
from engine.graph.units import Unit, contains


@dataclass(frozen=True)
class Hole:
    """Neighbouring units that are gone: readers of `target`, which only the uncut graph has, now read `value`.

    `is_shared` says that others read the value of a run too, and want it as it is.
    """

    value: str
    target: str
    units: tuple[str, ...]
    is_shared: bool = False


def find_holes(model: Model, units: Collection[Unit]) -> list[Hole]:
    """Return the holes that removing `units` leaves in `model`, the uncut graph, in its order.

    Units that follow one another, with at most a second Relu between, leave one hole: its target is the last one's.
    A unit inside another that goes leaves none of its own.
    """
    units = [unit for unit in units if not any(contains(other, unit) for other in units)]
    values, by_target = model.values(), {unit.target: unit for unit in units}
    order = {name: place for place, name in enumerate(values)}
    holes: dict[str, Hole] = {}
    for unit in sorted(units, key=lambda unit: order[unit.target]):
        value = str(_stand_in(values[unit.source], values, by_target).name)
        before = holes.get(value, Hole(value, value, ()))
        is_shared = before.is_shared or (unit.kind == "run" and _has_other_readers(values[unit.source], unit))
        holes[value] = Hole(value, unit.target, (*before.units, unit.name), is_shared)
    return list(holes.values())


def features_after(model: Model, units: Collection[Unit], features: Features) -> Features:
    """Return where the features of `model` are found once `units` are gone: in the same order, some in a stand-in."""
    values, by_target = model.values(), {unit.target: unit for unit in units}
    kept_names = {output.name for output in model.graph.outputs}

    def found_in(name: str) -> str:
        unit = None if name in kept_names else by_target.get(name)
        return name if unit is None else found_in(str(_stand_in(values[unit.source], values, by_target).name))

    return Features(tuple(found_in(name) for name in features.values), features.logits)


def _has_other_readers(source: ir.Value, unit: Unit) -> bool:
    inside = {*unit.nodes, unit.join}
    return source.is_graph_output() or any(use.node.name not in inside for use in source.uses())


def _stand_in(value: ir.Value, values: dict[str, ir.Value], by_target: dict[str, Unit]) -> ir.Value:
    """Return the value that is read in place of `value` once the units are gone."""
    unit = by_target.get(str(value.name))
    if unit is not None:
        return _stand_in(values[unit.source], values, by_target)
    node = value.producer()
    if node is None or kind(node) != "Relu":
        return value
    (read,) = node.inputs
    assert read is not None
    inner = _stand_in(read, values, by_target)
    inner_node = inner.producer()
    # a Relu of a Relu changes nothing: what repairs the inner one repairs both
    return inner if inner is not read and inner_node is not None and kind(inner_node) == "Relu" else value
