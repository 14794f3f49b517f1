"""Numbers that went through a type too narrow for them: 8-bit codes, rounded or overflowed values, few levels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.diagnosis import Finding
from engine.doctor.case import Case, Look

LEVELS_LEAST: Final = 40
"""Different values a channel; photographs of 8 bits have some 250 over a few images."""

LEVELS_TELLING: Final = 12
"""With fewer the network cannot tell more of the images either."""

WILD_MOST: Final = 0.01
"""Where more of the values are no numbers, what the others look like says nothing."""

VALUES_MOST: Final = 2_000_000
SEND_PIXELS: Final = "Send the pixels as uint8 and let the recipe's preprocess scale them, or float32 inputs."


def look(case: Case) -> Look:
    """Count the different values; mend the codes of signed 8-bit quantisation, which lost nothing.

    Values that are no numbers count as 0 for those who look next.
    """
    values = _values(case)
    wild = float(1 - np.isfinite(values).mean()) if values.dtype.kind == "f" else 0.0
    if wild:
        if case.values is not None:
            case.values = np.where(np.isfinite(case.values), case.values, 0)
        case.is_opaque = wild > WILD_MOST
        return Look({"not_finite": wild}, _not_finite(wild))
    distinct = np.unique(values)
    low, high = float(distinct[0]), float(distinct[-1])
    levels = len(distinct) / (case.form.channels if not case.comes_as_pixels else 1)
    figures = {"levels": round(levels, 1), "low": low, "high": high}
    if case.values is not None and _are_codes(distinct):
        case.values = case.values.astype(np.float32) + 128
        return Look(figures, _codes(low, high))
    if levels >= LEVELS_LEAST or _is_flat(low, high):
        return Look(figures)
    case.is_opaque = levels < LEVELS_TELLING
    return Look(figures, _coarse(case, distinct))


def _values(case: Case) -> npt.NDArray[Any]:
    flat = np.concatenate([image.ravel() for image in case.sample.images])
    return flat[:: max(len(flat) // VALUES_MOST, 1)]


def _not_finite(share: float) -> Finding:
    return Finding(
        ailment="dtype",
        message=f"{share:.2%} of the values are no finite numbers (NaN or infinity), which a job refuses.",
        fix="Make them anew; where a division made them, look for zeros in what it divided by.",
        recipe=None,
    )


def _is_flat(low: float, high: float) -> bool:
    return low == high


def _are_codes(distinct: npt.NDArray[Any]) -> bool:
    """Tell whether these are whole numbers of -128 to 127 that use most of that range."""
    low, high = float(distinct[0]), float(distinct[-1])
    whole = bool(np.all(distinct == np.round(distinct)))
    return whole and -128 <= low < -16 and 16 < high <= 127 and len(distinct) > LEVELS_LEAST


def _codes(low: float, high: float) -> Finding:
    return Finding(
        ailment="dtype",
        message=f"The values are whole numbers from {low:.0f} to {high:.0f}: codes of signed 8-bit quantisation, "
        "not inputs of the network.",
        fix="Add 128 and send them as uint8 pixels, or turn the codes back into float32 inputs by their scale and "
        "zero point.",
        recipe=None,
    )


def _coarse(case: Case, distinct: npt.NDArray[Any]) -> Finding:
    shown = ", ".join(f"{value:g}" for value in distinct[:6])
    message = f"The images hold only {len(distinct)} different values ({shown} …): they were rounded or quantised."
    if case.comes_as_pixels and np.all((distinct < 8) | (distinct > 247)):
        message = f"The pixels hold only the values {shown} …: normalised numbers that were cast to 8 bits."
    return Finding(
        ailment="dtype", message=message, fix=f"Make them anew from the originals. {SEND_PIXELS}", recipe=None
    )
