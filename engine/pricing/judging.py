"""Judging cut networks on held-out images, in the graph's order: what comes before all changes is run once for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from engine.graph.features import Features
from engine.graph.holes import features_after
from engine.graph.model import Model
from engine.graph.stretch import first_difference
from engine.graph.units import Unit
from engine.measure.batches import BATCH
from engine.pricing.study import Study
from engine.progress import Tell
from engine.recovery.frontier import Frontier


@dataclass(frozen=True)
class Trial:
    """A network that lacks something of this name, and the units among what it lacks."""

    name: str
    cut: Model
    units: tuple[Unit, ...] = ()


def judge(study: Study, trials: Sequence[Trial], tell: Tell) -> dict[str, float]:
    """Return, for each name, the least relative feature error of its trials; infinity where it is not a number."""
    judge, placed = study.reference, []
    for trial in trials:
        placed.append((first_difference(study.model, trial.cut), trial))
    same = Frontier(study.model, [judge.images], study.compute, BATCH)  # in the reference's batches
    left = {trial.name: math.inf for trial in trials}
    for done, (place, trial) in enumerate(sorted(placed, key=itemgetter(0))):
        tell(done / len(trials), f"trial {done + 1} of {len(trials)}")
        found_in: Features = features_after(study.model, trial.units, judge.features)
        same.advance(place)
        error = judge.error((values for _, values in same.values(found_in.values, trial.cut)), found_in)
        left[trial.name] = min(left[trial.name], error)
    return left
