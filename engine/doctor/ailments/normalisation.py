"""Another mean or deviation than the network was trained with, or none at all."""

from __future__ import annotations

from engine.diagnosis import Finding
from engine.doctor.case import Case, Look
from engine.doctor.rescaling import explain, find_scaling


def look(case: Case) -> Look:
    """Mend a scaling under which the network is clearly less sure than under one that is usual."""
    found = find_scaling(case)
    pixels, given = case.ready()
    if not found.is_clear:
        return Look(found.figures)
    message = (
        f"The images come to the network as {given.name}; it is clearly surer of them with {found.best.name}: "
        "the normalisation is wrong or missing."
    )
    fix, recipe = explain(case, found.best)
    case.mend(pixels, found.best)
    return Look(found.figures, Finding(ailment="normalisation", message=message, fix=fix, recipe=recipe))
