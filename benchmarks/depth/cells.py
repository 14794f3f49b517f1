"""Rows of one model, kind, number of images and asked ratio, over seeds: their means, spreads and duels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.trained.judge import unpack
from benchmarks.trained.memory import Row
from benchmarks.trained.pooled import pooled_difference
from engine.report import Interval

Key = tuple[str, str, int, float]

MISSED_BY = 1.02
"""A measured ratio above the asked one by more than this has missed it."""


@dataclass(frozen=True)
class Cell:
    """`rows` are of different seeds, ascending; `refused` are the reasons of those that came to nothing."""

    model: str
    kind: str
    images: int
    ratio: float
    rows: tuple[Row, ...]
    refused: tuple[str, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(row["seed"] for row in self.rows)

    def values(self, name: str) -> NDArray[np.float64]:
        return np.array([row[name] for row in self.rows], np.float64)

    def mean(self, name: str) -> float:
        return float(self.values(name).mean())

    @property
    def is_reached(self) -> bool:
        """Say whether the asked ratio was measured, on the mean of the seeds; accuracy at another says nothing."""
        return self.mean("measured_ratio") <= MISSED_BY * self.ratio

    @property
    def shortened(self) -> str:
        """Return what a peer did that is less than published; empty: nothing."""
        return ", ".join(sorted({row["shortened"] for row in self.rows if row.get("shortened")}))

    def points(self) -> Interval:
        """Return what top-1 gained, in points, pooled over the seeds."""
        return _in_points(pooled_difference(_hits(self.rows, "hits_before"), _hits(self.rows, "hits")))

    def share_won_back(self) -> float:
        """Return which part of the accuracy that images win back is won back without any, at the same cuts."""
        plain = self.mean("top1_plain")
        return (self.mean("top1_after") - plain) / max(self.mean("top1_with_images") - plain, 1e-9)


@dataclass(frozen=True)
class Duel:
    """Ours against a peer, where both were tried: `difference` in points, above zero where ours is better."""

    ours: Cell
    peer: Cell
    difference: Interval

    @property
    def is_won(self) -> bool:
        """Say whether ours is better on the mean, and not at the price of being slower."""
        return self.difference.value > 0 and not self._slower

    @property
    def verdict(self) -> str:
        """Return better or worse, by the mean; 'surely' where the interval leaves no other."""
        if self._slower:
            return "slower than asked"
        if self.difference.value == 0:
            return "equal"
        word = "better" if self.difference.value > 0 else "worse"
        sure = self.difference.low > 0 or self.difference.high < 0
        return f"surely {word}" if sure else word

    @property
    def _slower(self) -> bool:
        return not self.ours.is_reached and self.ours.mean("measured_ratio") > self.peer.mean("measured_ratio")


def cells(rows: Iterable[Row]) -> dict[Key, Cell]:
    """Return the cells in the order of their first rows; those of which every row was refused are there, too."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault((row["model"], row["kind"], row["images"], row["latency_ratio"]), []).append(row)
    return {key: _cell(key, members) for key, members in found.items()}


def duel(ours: Cell, peer: Cell) -> Duel | None:
    """Return how two cells compare over the seeds that both have, None where they share none."""
    common = sorted(set(ours.seeds) & set(peer.seeds))
    if not common:
        return None
    mine, theirs = (_hits([row for row in cell.rows if row["seed"] in common], "hits") for cell in (ours, peer))
    return Duel(ours, peer, _in_points(pooled_difference(theirs, mine)))


def _cell(key: Key, members: list[Row]) -> Cell:
    good = sorted((row for row in members if not row.get("error")), key=lambda row: int(row["seed"]))
    return Cell(*key, tuple(good), tuple(str(row["error"]) for row in members if row.get("error")))


def _hits(rows: Iterable[Row], name: str) -> NDArray[np.bool_]:
    return np.stack([unpack(row[name], row["test_images"]) for row in rows])


def _in_points(share: Interval) -> Interval:
    fields: dict[str, Any] = {name: 100 * value for name, value in share.model_dump().items()}
    return Interval(**fields)
