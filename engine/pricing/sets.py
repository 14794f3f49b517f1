"""What a whole set of units costs: cut together, repaired together on a few images, judged on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.graph.channels.remaining import remaining
from engine.graph.cuts import Cut, channels_in, remove, units_in
from engine.graph.holes import features_after, find_holes
from engine.pricing.study import Study
from engine.recovery.closed_form import images_for, refit_in_order
from engine.recovery.frontier import Frontier, batch_for
from engine.recovery.questions import at_cuts

REPAIR_IMAGES = 96
"""From so many images the closed form of a set is good enough to tell sets apart; more only take longer."""


def price_set(study: Study) -> Callable[[Sequence[Cut]], float]:
    """Return what tells, for a set of cuts, the relative feature error when all are gone and the rest is repaired.

    A set is not the sum of its cuts: neighbours share one hole, and what one loses another cannot mend. An empty set
    costs nothing. The same set always costs the same. Only the layers right before holes and those that read fewer
    channels are refitted, and what the uncut network has at the holes is kept between calls.
    """
    model, judge, compute = study.model, study.reference, study.compute
    evenly = np.linspace(0, len(study.repair) - 1, min(REPAIR_IMAGES, len(study.repair))).astype(int)
    images = images_for(study.repair.take(evenly), judge.images)
    wished = Frontier(model, images, compute, batch_for(model))
    wished.keep([unit.target for unit in study.units])

    def price(cuts: Sequence[Cut]) -> float:
        if not cuts:
            return 0.0
        units = units_in(cuts)
        plain = remove(model, cuts)
        cut = plain.copy()
        asked = at_cuts(model, cut, find_holes(model, units), remaining(model, channels_in(cuts)))
        refit_in_order(model, cut, asked, images, compute, study.seed, wished=wished)
        found_in = features_after(model, units, judge.features)
        return min(judge.error_of(each, found_in) for each in (cut, plain))

    return price
