"""PRACTISE: a block is worth what cannot be recovered without it.

Wang and Wu, "Practical Network Acceleration with Tiny Sets", CVPR 2023. arXiv:2202.07861
The paper trains adapters for each candidate by gradient descent; here the layer before the hole is refitted in closed
form from one pass over the images, which ranks alike for a thousandth of the work, and held-out images do the judging.
"""

from __future__ import annotations

from engine.graph.holes import features_after
from engine.methods.study import Study
from engine.progress import Tell
from engine.recovery.closed_form import repair_each


def harm(study: Study, tell: Tell) -> dict[str, float]:
    """Return each unit's recoverability: the relative feature error left when it is gone and the rest is repaired."""
    tell(0.0, "gathering statistics of all units")
    judge = study.reference
    without = repair_each(study.model, study.units, study.repair, judge.images, study.compute, seed=study.seed)
    left: dict[str, float] = {}
    for done, unit in enumerate(study.units):
        tell(0.3 + 0.7 * done / len(study.units), f"unit {done + 1} of {len(study.units)}")
        found_in = features_after(study.model, [unit], judge.features)
        left[unit.name] = judge.error_of(without(unit), found_in)
    return left
