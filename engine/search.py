"""From what each cut would harm and save to a plan that saves enough: the least harm there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TICKS = 2000
EXACT = 1e-9


@dataclass(frozen=True)
class Candidate:
    """One possible cut: `harm` is what it costs in accuracy, `saving` what it brings in the target's currency."""

    name: str
    harm: float
    saving: float


def choose(candidates: Sequence[Candidate], needed: float) -> list[str] | None:
    """Return the names of the cuts that save at least `needed` with the least summed harm, or None where all do not.

    A covering knapsack by dynamic programming over `needed` in 2000 ticks. Savings are rounded down to ticks, so a set
    may cover although its ticks fall short by one a cut: such sets are looked at first. A cut that saves nothing is
    never chosen.
    """
    usable = [candidate for candidate in candidates if candidate.saving > 0]
    if needed <= 0:
        return []
    if sum(candidate.saving for candidate in usable) < needed - EXACT:
        return None
    ticks = [int(candidate.saving / needed * TICKS) for candidate in usable]
    goal = min(TICKS, sum(ticks))
    taken = _fill(usable, ticks, goal)
    for covered in range(max(goal - len(usable), 0), goal + 1):
        chosen = _trace(ticks, taken, covered)
        if sum(usable[row].saving for row in chosen) >= needed - EXACT:
            return [usable[row].name for row in chosen]
    return [candidate.name for candidate in usable]


def _fill(usable: Sequence[Candidate], ticks: Sequence[int], goal: int) -> npt.NDArray[np.bool_]:
    """Return (candidates, goal + 1): whether the least harmful cover of so many ticks takes each candidate."""
    least = np.full(goal + 1, np.inf)
    least[0] = 0.0
    taken = np.zeros((len(usable), goal + 1), bool)
    for row, candidate in enumerate(usable):
        before = np.maximum(np.arange(goal + 1) - ticks[row], 0)
        with_it = least[before] + candidate.harm
        taken[row] = with_it < least
        least = np.where(taken[row], with_it, least)
    return taken


def _trace(ticks: Sequence[int], taken: npt.NDArray[np.bool_], covered: int) -> list[int]:
    """Return the rows that the least harmful cover of so many ticks takes."""
    chosen: list[int] = []
    for row in range(len(ticks) - 1, -1, -1):
        if taken[row, covered]:
            chosen.append(row)
            covered = max(covered - ticks[row], 0)
    return chosen[::-1]
