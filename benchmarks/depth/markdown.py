"""Markdown of numbers: tables, values with their spread over seeds, differences with their interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.depth.cells import Cell
from engine.report import Interval


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table, line by line."""
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def spread(cell: Cell, name: str, digits: int) -> str:
    """Write the mean over seeds and, where they differ, the least and the most."""
    values = cell.values(name)
    mean, least, most = (f"{number:.{digits}f}" for number in (values.mean(), values.min(), values.max()))
    return mean if least == most else f"{mean} ({least} to {most})"


def signed(points: Interval) -> str:
    """Write a difference in points with its interval."""
    return f"{points.value:+.2f} ({points.low:+.2f} to {points.high:+.2f})"


def name_of(cell: Cell) -> list[str]:
    """Return the first three cells of a line: network, number of images, asked ratio."""
    return [cell.model, str(cell.images), f"{cell.ratio:g}"]


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/').replace(chr(10), ' ') for text in row)} |"
