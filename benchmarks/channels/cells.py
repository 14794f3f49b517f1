"""Rows of one network, kind and method or peer, over seeds; differences between two on the same pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.trained.judge import unpack
from benchmarks.trained.memory import Row
from benchmarks.trained.pooled import pooled_difference
from engine.report import Interval

Key = tuple[str, str, str]
"""Network, kind, method or peer."""

MISSED_BY = 1.02
"""A measured ratio above the asked one by more than this has missed it."""
LEAST_LOST = 1.0
"""Points that a cut has to cost before a share of them says anything."""


@dataclass(frozen=True)
class Cell:
    """`rows` are of different seeds, ascending; `refused` are the reasons of those that came to nothing."""

    model: str
    kind: str
    what: str
    rows: tuple[Row, ...]
    refused: tuple[str, ...]

    def values(self, name: str) -> NDArray[np.float64]:
        return np.array([row[name] for row in self.rows if row.get(name) is not None], np.float64)

    def mean(self, name: str) -> float:
        """Return the mean over seeds, nan where none has it."""
        found = self.values(name)
        return float(found.mean()) if len(found) else float("nan")

    @property
    def is_reached(self) -> bool:
        """Say whether the asked ratio was measured, on the mean of the seeds."""
        return bool(self.mean("measured_ratio") <= MISSED_BY * self.rows[0]["latency_ratio"])

    def points(self) -> Interval:
        """Return what top-1 gained, in points, pooled over the seeds."""
        return difference(self.rows, "hits_before", self.rows, "hits")

    def share_won_back(self) -> float | None:
        """Return which part of the accuracy that the cuts cost the closed form wins back, None where they cost none."""
        before, plain = self.mean("top1_before"), self.mean("top1_plain")
        if not before - plain >= LEAST_LOST:
            return None
        return (self.mean("top1_closed_form") - plain) / (before - plain)


def cells(rows: Iterable[Row]) -> dict[Key, Cell]:
    """Return the cells in the order of their first rows; those of which every row was refused are there, too."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault((row["model"], row["kind"], row["what"]), []).append(row)
    return {key: _cell(key, members) for key, members in found.items()}


def difference_of(theirs: Cell, ours: Cell) -> Interval | None:
    """Return top-1 of ours less theirs in points, over the seeds that both have; None where they share none."""
    common = {row["seed"] for row in theirs.rows} & {row["seed"] for row in ours.rows}
    if not common:
        return None
    chosen = [[row for row in cell.rows if row["seed"] in common] for cell in (theirs, ours)]
    return difference(chosen[0], "hits", chosen[1], "hits")


def difference(first: Iterable[Row], of_first: str, second: Iterable[Row], of_second: str) -> Interval:
    """Return second - first in points, answers of the same pictures, row by row."""
    found = pooled_difference(_hits(first, of_first), _hits(second, of_second))
    return Interval(value=100 * found.value, low=100 * found.low, high=100 * found.high)


def _cell(key: Key, members: list[Row]) -> Cell:
    good = sorted((row for row in members if not row.get("error")), key=lambda row: int(row["seed"]))
    return Cell(*key, tuple(good), tuple(str(row["error"]) for row in members if row.get("error")))


def _hits(rows: Iterable[Row], name: str) -> NDArray[np.bool_]:
    return np.stack([unpack(row[name], row["test_images"]) for row in rows])
