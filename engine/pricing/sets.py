"""What a whole set of cuts costs: gone together, repaired together on a few images, judged on others."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from engine.data.images import ImageSet, together
from engine.graph.channels.remaining import remaining
from engine.graph.cuts import Cut, channels_in, remove, units_in
from engine.graph.holes import features_after, find_holes
from engine.pricing.study import Study
from engine.recovery.closed_form import images_for, refit_in_order
from engine.recovery.effort import PRICE_WORK_MAX, affordable
from engine.recovery.questions import questions
from engine.recovery.reference import Reference

REPAIR_IMAGES = 48
"""From so many images the closed form of a set is good enough to tell sets apart; more only take longer."""
JUDGING_PART = 1 / 3
"""The part of the user's images for repair that may judge sets in place of repairing them."""


def price_set(study: Study) -> Callable[[Sequence[Cut]], float]:
    """Return what tells, for a set of cuts, the relative feature error when all are gone and the rest is repaired.

    A set is not the sum of its cuts: neighbours share one hole, and what one loses another cannot mend. An empty set
    costs nothing. The same set always costs the same. Every layer behind a cut is refitted, as in the network that is
    delivered: what those right before holes leave wrong, later ones mend in one set and not in another. It is done on
    fewer images, in one step, all of the way or not at all, and large layers are asked for channels. Beside the
    held-out images, by which ridges are chosen, judge some of the others, which have no part in any repair.
    """
    model, compute = study.model, study.compute
    parted = functools.cache(lambda: _parted(study))  # in a short time nothing is priced

    def price(cuts: Sequence[Cut]) -> float:
        if not cuts:
            return 0.0
        repair, judge = parted()
        units, plain = units_in(cuts), remove(model, cuts)
        found_in = features_after(model, units, judge.features)
        holes, left = find_holes(model, units), remaining(model, channels_in(cuts))
        asked = questions(model, plain, holes, found_in.values, left, quickly=True)
        images = images_for(affordable(model, plain, asked, repair, PRICE_WORK_MAX), study.reference.images)
        cut = plain.copy()
        refit_in_order(model, cut, asked, images, compute, study.seed)
        return min(judge.error_of(each, found_in) for each in (cut, plain))

    return price


def _parted(study: Study) -> tuple[ImageSet, Reference]:
    """Return the images that sets are repaired from, and what judges them.

    Sets are many, and of those that few images judge the best is the luckiest. So where there is work to spare, a third
    of the user's other images judge, too: 13 of 128 are held out for selection, and 34 more judge sets.
    """
    names = np.array(sorted({*study.repair.names} & (study.subject.sent if study.subject else frozenset())))
    spare = max(study.judges - len(study.reference.images), 0)
    chosen = np.random.default_rng(study.seed).permutation(len(names))[: min(spare, int(JUDGING_PART * len(names)))]
    apart, judge = set(names[chosen]), study.reference
    if apart:
        images = together(judge.images, study.repair.first_views(apart))
        judge = Reference(study.model, judge.features, images, study.compute)
    learn = study.repair.without(apart)
    evenly = np.linspace(0, len(learn) - 1, min(REPAIR_IMAGES, len(learn))).astype(int)
    return learn.take(evenly), judge
