"""Points lost over measured ratio as SVG: panels in a grid, the curves of each by name and colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Colours = Mapping[str, tuple[str, str]]
"""Name of a curve -> its label and its colour."""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 300, 220, 48, 12, 30, 36
LEGEND, LABEL = 30, 110


@dataclass(frozen=True)
class Point:
    """The mean over seeds, and the least and the most of the points lost."""

    ratio: float
    lost: float
    least: float
    most: float


@dataclass(frozen=True)
class Panel:
    """`curves` are points by name, drawn in the order of their ratios; the y axis of each panel is its own."""

    title: str
    column: int
    row: int
    curves: Mapping[str, Sequence[Point]]


def document(panels: Sequence[Panel], colours: Colours) -> str:
    """Return an SVG of the panels, the legend above them."""
    columns, rows = (1 + max((place for place in places), default=0) for places in _places(panels))
    width, height = max(WIDTH * columns, LEFT + LABEL * len(colours)), HEIGHT * rows + LEGEND
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">']
    parts += ['<rect width="100%" height="100%" fill="white"/>', *_legend(colours)]
    for panel in panels:
        x, y = panel.column * WIDTH, panel.row * HEIGHT + LEGEND
        parts += [f'<g transform="translate({x} {y})">', *_panel(panel.title, panel.curves, colours), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _places(panels: Sequence[Panel]) -> tuple[list[int], list[int]]:
    return [panel.column for panel in panels], [panel.row for panel in panels]


def _panel(title: str, panel: Mapping[str, Sequence[Point]], colours: Colours) -> list[str]:
    points = [point for curve in panel.values() for point in curve]
    across = _Axis([point.ratio for point in points], LEFT, WIDTH - RIGHT, 0.05)
    up = _Axis([0.0, *(p.least for p in points), *(p.most for p in points)], HEIGHT - BOTTOM, TOP, 0.5)
    parts = [_text(LEFT, TOP - 10, title, 12, "start"), *_frame(across, up)]
    for kind, curve in panel.items():
        colour = colours[kind][1]
        places = [(across.place(p.ratio), up.place(p.lost)) for p in sorted(curve, key=lambda point: point.ratio)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [_whisker(across.place(p.ratio), up.place(p.least), up.place(p.most), colour) for p in curve]
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return parts


class _Axis:
    """Numbers laid along pixels, with some room at both ends and at most five ticks."""

    def __init__(self, numbers: Sequence[float], start: float, end: float, room: float) -> None:
        self._least, self._most = min(numbers) - room, max(numbers) + room
        self.start, self.end = start, end

    def place(self, number: float) -> float:
        return self.start + (number - self._least) / (self._most - self._least) * (self.end - self.start)

    def ticks(self) -> list[float]:
        span = self._most - self._least
        step = next(step for step in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if span / step <= 5)
        first = int(self._least // step) + 1
        return [round(number * step, 6) for number in range(first, int(self._most // step) + 1)]


def _frame(across: _Axis, up: _Axis) -> list[str]:
    parts = []
    for tick in up.ticks():
        y = up.place(tick)
        parts.append(f'<path d="M{across.start} {y:.1f}H{across.end}" stroke="#ddd"/>')
        parts.append(_text(across.start - 5, y + 4, f"{tick:g}", 10, "end"))
    for tick in across.ticks():
        parts.append(_text(across.place(tick), up.start + 14, f"{tick:g}", 10, "middle"))
    parts.append(f'<path d="M{across.start} {up.end}V{up.start}H{across.end}" fill="none" stroke="#555"/>')
    parts.append(_text((across.start + across.end) / 2, up.start + 28, "measured latency ratio", 10, "middle"))
    middle = (up.start + up.end) / 2
    parts.append(
        f'<g transform="translate(14 {middle:.0f}) rotate(-90)">{_text(0, 0, "points lost", 10, "middle")}</g>'
    )
    return parts


def _legend(colours: Colours) -> list[str]:
    parts = []
    for place, (label, colour) in enumerate(colours.values()):
        x = LEFT + place * LABEL
        parts.append(f'<circle cx="{x}" cy="16" r="4" fill="{colour}"/>')
        parts.append(_text(x + 8, 20, label, 12, "start"))
    return parts


def _whisker(x: float, low: float, high: float, colour: str) -> str:
    return f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" stroke-opacity="0.5" stroke-width="3"/>'


def _text(x: float, y: float, text: str, size: int, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" fill="#222">{escape(text)}</text>'
