"""Values on another scale than the network's: 0 to 255 for 0 to 1, or the reverse."""

from __future__ import annotations

from engine.data.scaling import RANGE_FACTOR
from engine.diagnosis import Finding
from engine.doctor.case import Case, Look
from engine.doctor.rescaling import explain, find_scaling


def look(case: Case) -> Look:
    """Mend a scaling whose gain is wrong by so much that it can only be the range."""
    found = find_scaling(case)
    _, given = case.ready()
    factor = given.factor(found.best)
    figures = found.figures | {"factor": round(factor, 4)}
    if not found.is_clear or 1 / RANGE_FACTOR < factor < RANGE_FACTOR:
        return Look(figures)
    times = f"{factor:.0f} times too large" if factor > 1 else f"{1 / factor:.0f} times too small"
    message = f"The values are about {times} for the network ({_ends(case)})."
    fix, recipe = explain(case, found.best)
    case.mend(case.ready()[0], found.best)
    return Look(figures, Finding(ailment="range", message=message, fix=fix, recipe=recipe))


def _ends(case: Case) -> str:
    pixels, scaling = case.ready()
    values = scaling.apply(pixels)
    return f"they run from {float(values.min()):.3g} to {float(values.max()):.3g} as the network gets them"
