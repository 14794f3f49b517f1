"""PRACTISE: a block is worth what cannot be recovered without it.

Wang and Wu, "Practical Network Acceleration with Tiny Sets", CVPR 2023. arXiv:2202.07861
The paper trains adapters for each candidate by gradient descent; here the layer before the hole is refitted in closed
form from one pass over the images, which ranks alike for a thousandth of the work, and held-out images do the judging.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import itemgetter

from engine.graph.holes import features_after
from engine.graph.model import Model
from engine.graph.stretch import first_difference
from engine.graph.surgery import remove_units
from engine.graph.units import Unit
from engine.measure.batches import BATCH
from engine.methods.study import Study
from engine.progress import Tell
from engine.recovery.closed_form import repair_each
from engine.recovery.frontier import Frontier


def harm(study: Study, tell: Tell) -> dict[str, float]:
    """Return each unit's recoverability: the relative feature error left when it is gone and the rest is repaired.

    A repair that does more harm than good on the judging images is none: from few images of many channels, weights
    that write the sum better on images that were held out can still make worse features of it.
    """
    tell(0.0, "gathering statistics of all units")
    judge = study.reference
    without = repair_each(study.model, study.units, study.repair, judge.images, study.compute, seed=study.seed)
    left = _judge_in_order(study, without, tell)
    return {unit.name: left[unit.name] for unit in study.units}


def _judge_in_order(study: Study, without: Callable[[Unit], Model], tell: Tell) -> dict[str, float]:
    """Judge the units from the input on, with and without repair: what comes before all changes is run once for all."""
    model, judge = study.model, study.reference
    same = Frontier(model, [judge.images], study.compute, BATCH)  # in the reference's batches
    cuts = [(unit, cut) for unit in study.units for cut in (remove_units(model, [unit]), without(unit))]
    trials = sorted(((first_difference(model, cut), unit, cut) for unit, cut in cuts), key=itemgetter(0))
    left = {unit.name: math.inf for unit in study.units}
    for done, (place, unit, cut) in enumerate(trials):
        tell(0.3 + 0.7 * done / len(cuts), f"trial {done + 1} of {len(cuts)}")
        found_in = features_after(model, [unit], judge.features)
        same.advance(place)
        error = judge.error((values for _, values in same.values(found_in.values, cut)), found_in)
        left[unit.name] = min(left[unit.name], error)
    return left
