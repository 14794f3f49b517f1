"""PRACTISE: a block is worth what cannot be recovered without it.

Wang and Wu, "Practical Network Acceleration with Tiny Sets", CVPR 2023. arXiv:2202.07861
The paper trains adapters for each candidate by gradient descent; here the layer before the hole is refitted in closed
form from one pass over the images, which ranks alike for a thousandth of the work, and held-out images do the judging.
"""

from __future__ import annotations

from engine.graph.surgery import remove_units
from engine.pricing.judging import Trial, judge
from engine.pricing.method import Method
from engine.pricing.study import Study
from engine.progress import Tell
from engine.recovery.closed_form import repair_each
from engine.recovery.effort import SCORING_WORK_MAX


def harm(study: Study, tell: Tell) -> dict[str, float]:
    """Return each unit's recoverability: the relative feature error left when it is gone and the rest is repaired.

    A repair that does more harm than good on the judging images is none: from few images of many channels, weights
    that write the sum better on images that were held out can still make worse features of it.
    In a short time the network without repair is not judged beside the other.
    """
    tell(0.0, "gathering statistics of all units")
    images = study.reference.images
    without = repair_each(
        study.model,
        study.units,
        study.repair,
        images,
        study.compute,
        seed=study.seed,
        work_max=study.allowance.part * SCORING_WORK_MAX,
    )
    trials = [Trial(unit.name, without(unit), (unit,)) for unit in study.units]
    if not study.allowance.is_short:
        trials += [Trial(unit.name, remove_units(study.model, [unit]), (unit,)) for unit in study.units]
    return judge(study, trials, lambda done, message: tell(0.3 + 0.7 * done, message))


METHOD = Method(harm=harm)
