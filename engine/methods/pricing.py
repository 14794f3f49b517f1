"""What a whole set of units costs: cut together, repaired together on a few images, judged on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.graph.holes import features_after
from engine.graph.units import Unit
from engine.methods.study import Study
from engine.recovery.closed_form import cut_and_repair

REPAIR_IMAGES = 96
"""From so many images the closed form of a set is good enough to tell sets apart; more only take longer."""


def price_set(study: Study) -> Callable[[Sequence[Unit]], float]:
    """Return what tells, for a set of units, the relative feature error when all are gone and the rest is repaired.

    A set is not the sum of its units: neighbours share one hole, and what one loses another cannot mend. An empty set
    costs nothing. The same set always costs the same.
    """
    evenly = np.linspace(0, len(study.repair) - 1, min(REPAIR_IMAGES, len(study.repair))).astype(int)
    few, judge = study.repair.take(evenly), study.reference

    def price(units: Sequence[Unit]) -> float:
        if not units:
            return 0.0
        repaired = cut_and_repair(study.model, units, few, judge.images, study.compute, seed=study.seed)
        return judge.error_of(repaired, features_after(study.model, units, judge.features))

    return price
