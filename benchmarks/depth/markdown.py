"""A cell's numbers in words: its name, and values with their spread over seeds."""

from __future__ import annotations

from benchmarks.depth.cells import Cell


def spread(cell: Cell, name: str, digits: int) -> str:
    """Write the mean over seeds and, where they differ, the least and the most."""
    values = cell.values(name)
    mean, least, most = (f"{number:.{digits}f}" for number in (values.mean(), values.min(), values.max()))
    return mean if least == most else f"{mean} ({least} to {most})"


def name_of(cell: Cell) -> list[str]:
    """Return the first three cells of a line: network, number of images, asked ratio."""
    return [cell.model, str(cell.images), f"{cell.ratio:g}"]
