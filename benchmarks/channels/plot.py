"""Points lost over measured ratio: a panel for each network, a point for each method and peer."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.channels.cases import PEERS
from benchmarks.channels.cells import Cell, Key
from benchmarks.panels import Panel, Point, document
from engine.recipe import METHODS

PALETTE = (
    *("#1f6f3f", "#b3541e", "#4a5aa8", "#8a2f6b", "#a8892a", "#2a8a98"),
    *("#6b6b6b", "#c23b3b", "#111111", "#7a5c3e", "#5e8f2f"),
)
COLUMNS = 3


def plot(found: Mapping[Key, Cell]) -> str:
    """Return an SVG of all networks that were cut; of structures alone nothing is lost that could be drawn."""
    curves: dict[str, dict[str, list[Point]]] = {}
    for (model, kind, what), cell in found.items():
        if kind in ("methods", "peers") and cell.rows:
            lost = -cell.values("points")
            point = Point(cell.mean("measured_ratio"), float(lost.mean()), float(lost.min()), float(lost.max()))
            curves.setdefault(model, {})[what] = [point]
    drawn = [what for what in (*METHODS, *PEERS) if any(what in panel for panel in curves.values())]
    colours = {what: (what, PALETTE[place % len(PALETTE)]) for place, what in enumerate(drawn)}
    panels = [
        Panel(model, place % COLUMNS, place // COLUMNS, panel) for place, (model, panel) in enumerate(curves.items())
    ]
    return document(panels, colours)
