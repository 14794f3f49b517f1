"""From what each cut would harm and save to a plan that saves enough: the least harm, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TICKS = 2000


@dataclass(frozen=True)
class Candidate:
    """One possible cut: `harm` is what it costs in accuracy, `saving` what it brings in the target's currency."""

    name: str
    harm: float
    saving: float


def choose(candidates: Sequence[Candidate], needed: float) -> list[str] | None:
    """Return the names of the cuts that save at least `needed` with the least summed harm, or None where all do not.

    A covering knapsack by dynamic programming over `needed` in 2000 ticks; savings are rounded down, so what is chosen
    does cover. A cut that saves nothing is never chosen.
    """
    usable = [candidate for candidate in candidates if candidate.saving > 0]
    if needed <= 0:
        return []
    if sum(candidate.saving for candidate in usable) < needed:
        return None
    # the harm of covering each number of ticks, one row a candidate; everything rounded down may just miss the last
    ticks = [int(candidate.saving / needed * TICKS) for candidate in usable]
    goal = min(TICKS, sum(ticks))
    least = np.full(goal + 1, np.inf)
    least[0] = 0.0
    taken = np.zeros((len(usable), goal + 1), bool)
    for row, candidate in enumerate(usable):
        before = np.maximum(np.arange(goal + 1) - ticks[row], 0)
        with_it = least[before] + candidate.harm
        taken[row] = with_it < least
        least = np.where(taken[row], with_it, least)
    return _trace(usable, ticks, taken, goal)


def _trace(usable: Sequence[Candidate], ticks: Sequence[int], taken: npt.NDArray[np.bool_], goal: int) -> list[str]:
    chosen: list[str] = []
    for row in range(len(usable) - 1, -1, -1):
        if taken[row, goal]:
            chosen.append(usable[row].name)
            goal = max(goal - ticks[row], 0)
    return chosen[::-1]
