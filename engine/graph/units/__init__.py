"""Units: what can be removed whole and leave a valid graph. Found from the graph alone: no names, no classes."""

from __future__ import annotations

from collections.abc import Sequence

from engine.graph.model import Model
from engine.graph.units.activations import find_activations
from engine.graph.units.branches import find_branches
from engine.graph.units.runs import find_runs
from engine.graph.units.unit import Unit, contains, signature
from engine.graph.units.view import View

__all__ = ["Unit", "blocks", "contains", "find_units", "signature"]


def find_units(model: Model) -> list[Unit]:
    """Return branches, runs and activations, sources in topological order; any of them may go, in any order.

    Two units are apart from each other, or one lies inside the other.
    """
    view = View(model.graph)
    branches = find_branches(view)
    units = [*branches, *find_runs(model, view, branches), *find_activations(model)]
    values = model.values()
    return sorted(units, key=lambda unit: (view.position(values[unit.source]), view.positions[unit.join]))


def blocks(units: Sequence[Unit]) -> list[Unit]:
    """Return the units that a method leaves out whole: the branches, or the runs where there is no branch at all.

    A network with skips loses whole blocks more easily than single layers of them.
    """
    branches = [unit for unit in units if unit.kind == "branch"]
    return branches or [unit for unit in units if unit.kind == "run"]
