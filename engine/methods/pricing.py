"""What a whole set of units costs: cut together, repaired together on a few images, judged on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.graph.holes import features_after, find_holes
from engine.graph.surgery import remove_units
from engine.graph.units import Unit
from engine.methods.study import Study
from engine.recovery.closed_form import images_for, refit_in_order
from engine.recovery.frontier import Frontier, batch_for
from engine.recovery.questions import at_holes

REPAIR_IMAGES = 96
"""From so many images the closed form of a set is good enough to tell sets apart; more only take longer."""


def price_set(study: Study) -> Callable[[Sequence[Unit]], float]:
    """Return what tells, for a set of units, the relative feature error when all are gone and the rest is repaired.

    A set is not the sum of its units: neighbours share one hole, and what one loses another cannot mend. An empty set
    costs nothing. The same set always costs the same. Only the layers right before the holes are refitted, and what
    the uncut network has there is kept between calls.
    """
    model, judge, compute = study.model, study.reference, study.compute
    evenly = np.linspace(0, len(study.repair) - 1, min(REPAIR_IMAGES, len(study.repair))).astype(int)
    images = images_for(study.repair.take(evenly), judge.images)
    wished = Frontier(model, images, compute, batch_for(model))
    wished.keep([unit.target for unit in study.units])

    def price(units: Sequence[Unit]) -> float:
        if not units:
            return 0.0
        cut = remove_units(model, units)
        asked = at_holes(model, cut, find_holes(model, units))
        refit_in_order(model, cut, asked, images, compute, study.seed, wished=wished)
        found_in = features_after(model, units, judge.features)
        return min(judge.error_of(cut, found_in), judge.error_of(remove_units(model, units), found_in))

    return price
