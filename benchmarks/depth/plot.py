"""Points lost over measured ratio: a panel for each network and number of images, ours against peers."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.depth.cells import Cell, Key
from benchmarks.panels import Panel, Point, document

COLOURS = {"job": ("Secateur", "#1f6f3f"), "practise": ("PRACTISE", "#b3541e"), "l1-filters": ("L1 filters", "#4a5aa8")}


def plot(found: Mapping[Key, Cell]) -> str:
    """Return an SVG: rows are networks, columns numbers of images."""
    curves = _curves(found)
    models = list(dict.fromkeys(model for model, _ in curves))
    counts = sorted({count for _, count in curves}, reverse=True)
    panels = [
        Panel(f"{model}, {count} images", counts.index(count), models.index(model), panel)
        for (model, count), panel in curves.items()
    ]
    return document(panels, COLOURS)


def _curves(found: Mapping[Key, Cell]) -> dict[tuple[str, int], dict[str, list[Point]]]:
    curves: dict[tuple[str, int], dict[str, list[Point]]] = {}
    for (model, kind, count, _), cell in found.items():
        if kind in COLOURS and cell.rows:
            lost = -cell.values("points")
            point = Point(cell.mean("measured_ratio"), float(lost.mean()), float(lost.min()), float(lost.max()))
            curves.setdefault((model, count), {}).setdefault(kind, []).append(point)
    return curves
