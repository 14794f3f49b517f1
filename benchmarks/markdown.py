"""Markdown of numbers: tables, and differences with their interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.report import Interval


def lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table, line by line."""
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def signed(points: Interval) -> str:
    """Write a difference in points with its interval."""
    return f"{points.value:+.2f} ({points.low:+.2f} to {points.high:+.2f})"


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/').replace(chr(10), ' ') for text in row)} |"
