"""The table of looks: one drawer for each ailment, with look(case) -> Look, in the order in which they are taken.

A look mends the case, so that the next one judges what would be left; it raises NotExamined where it cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable

from engine.diagnosis import Ailment
from engine.doctor.ailments import (
    channel_order,
    class_imbalance,
    dtype,
    duplicates,
    layout,
    normalisation,
    out_of_distribution,
    value_range,
)
from engine.doctor.case import Case, Look

LOOKS: tuple[tuple[Ailment, Callable[[Case], Look]], ...] = (
    ("dtype", dtype.look),
    ("layout", layout.place),
    ("range", value_range.look),
    ("normalisation", normalisation.look),
    ("channel_order", channel_order.look),
    ("layout", layout.turn),
    ("duplicates", duplicates.look),
    ("class_imbalance", class_imbalance.look),
    ("out_of_distribution", out_of_distribution.look),
)
