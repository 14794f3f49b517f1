"""A covering knapsack: the cuts that save enough with the least summed harm, one inside another never beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TICKS = 2000
EXACT = 1e-9


@dataclass(frozen=True)
class Candidate:
    """One possible cut: `harm` is what it costs in accuracy, `saving` what it brings in the target's currency.

    `inside` names the cuts that this one is a part of, the smallest first: with any of them it is gone already.
    `kind` is what sort of cut it is: single harms of one sort may be too low beside those of another.
    """

    name: str
    harm: float
    saving: float
    inside: tuple[str, ...] = ()
    kind: str = ""


Children = Mapping[int | None, Sequence[int]]  # row -> the rows directly inside it; None -> those inside of none


@dataclass(frozen=True)
class _Table:
    """For each number of ticks covered: the least summed harm, and which rows it takes, a bit each.

    `takes` is (goal + 1, rows / 8): it is copied for every cut, which is most of the work.
    """

    harm: npt.NDArray[np.float64]
    takes: npt.NDArray[np.uint8]


def choose(candidates: Sequence[Candidate], needed: float) -> list[str] | None:
    """Return the names of the cuts that save at least `needed` with the least summed harm, or None where all do not.

    A covering knapsack by dynamic programming over `needed` in 2000 ticks, where a cut excludes those inside it.
    Savings are rounded down to ticks, so a set may cover although its ticks fall short by one a cut: such sets are
    looked at first. A cut that saves nothing is never chosen.
    """
    usable = [candidate for candidate in candidates if candidate.saving > 0]
    if needed <= 0:
        return []
    children = _children(usable)
    if _most(usable, children, None) < needed - EXACT:
        return None
    ticks = [int(candidate.saving / needed * TICKS) for candidate in usable]
    goal = min(TICKS, sum(ticks))
    table = _fill(usable, ticks, goal, children)
    for covered in range(max(goal - len(usable), 0), goal + 1):
        chosen = np.flatnonzero(np.unpackbits(table.takes[covered], bitorder="little"))
        if np.isfinite(table.harm[covered]) and sum(usable[row].saving for row in chosen) >= needed - EXACT:
            return [usable[row].name for row in chosen]
    return most(usable)


def most(candidates: Sequence[Candidate]) -> list[str]:
    """Return the names of the cuts that save most together: each whole, or what is inside it where that saves more."""
    usable = [candidate for candidate in candidates if candidate.saving > 0]
    children = _children(usable)
    chosen: list[int] = []
    open_rows = list(children.get(None, ()))
    while open_rows:
        row = open_rows.pop()
        if _most(usable, children, row) > usable[row].saving:
            open_rows += children[row]
        else:
            chosen.append(row)
    return [usable[row].name for row in sorted(chosen)]


def _children(usable: Sequence[Candidate]) -> Children:
    rows = {candidate.name: row for row, candidate in enumerate(usable)}
    children: dict[int | None, list[int]] = {}
    for row, candidate in enumerate(usable):
        outer = next((rows[name] for name in candidate.inside if name in rows), None)
        children.setdefault(outer, []).append(row)
    return children


def _most(usable: Sequence[Candidate], children: Children, row: int | None) -> float:
    """Return what a cut and those inside it can save at most."""
    inside = sum(_most(usable, children, child) for child in children.get(row, ()))
    return inside if row is None else max(inside, usable[row].saving)


def _fill(usable: Sequence[Candidate], ticks: Sequence[int], goal: int, children: Children) -> _Table:
    def with_choice_of(table: _Table, row: int) -> _Table:
        """Add a choice to every cover: this cut, or some of those inside it, or nothing."""
        before = np.maximum(np.arange(goal + 1) - ticks[row], 0)
        harm, takes = table.harm[before] + usable[row].harm, table.takes[before]
        takes[:, row // 8] |= np.uint8(1 << row % 8)
        for child in children.get(row, ()):
            table = with_choice_of(table, child)
        less = harm < table.harm
        return _Table(np.where(less, harm, table.harm), np.where(less[:, np.newaxis], takes, table.takes))

    nothing = np.full(goal + 1, np.inf)
    nothing[0] = 0.0
    table = _Table(nothing, np.zeros((goal + 1, -(-len(usable) // 8)), np.uint8))
    for row in children.get(None, ()):
        table = with_choice_of(table, row)
    return table
