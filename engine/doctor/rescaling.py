"""Which of the usual scalings suits a network best, by how sure it is of the same images under each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.doctor.case import Case
from engine.doctor.probe import surer
from engine.doctor.scaling import Scaling, known_ways

SURER: Final = 1.5
"""How surely the network must prefer another scaling: `engine.doctor.probe.surer`."""

GAIN_LEAST: Final = 0.03
"""And by how much its clarity must grow: with many images small differences are sure, too, and no matter."""

VARIETY_LEAST: Final = 0.5
"""How much of the variety of the answers another scaling must keep: a network that is shown almost nothing says the
same of all images, and that very clearly."""


@dataclass(frozen=True)
class Rescaling:
    """The scaling that suits best, the present one where none is clearly better, and by which figures."""

    best: Scaling
    is_clear: bool
    figures: dict[str, float]


def find_scaling(case: Case) -> Rescaling:
    """Try the usual scalings on the images as they are mended so far. Raises NotExamined."""
    pixels, given = case.ready()
    before = case.answer()
    best, figures = given, {"surer": 0.0, "gain": 0.0}
    for way in known_ways(pixels.shape[-1]):
        if _is_like(way, given):
            continue
        answer = case.ask(f"scaled to {way.name}", pixels, way)
        if answer.variety < VARIETY_LEAST * before.variety:
            continue
        sure, gain = surer(answer, before), float(answer.clarity.mean() / before.clarity.mean()) - 1
        if gain > figures["gain"] or figures["surer"] == 0.0:
            best, figures = way, {"surer": round(sure, 2), "gain": round(gain, 4)}
    return Rescaling(best, figures["surer"] > SURER and figures["gain"] > GAIN_LEAST, figures)


def explain(case: Case, best: Scaling) -> tuple[str, dict[str, Any] | None]:
    """Return how the images come to be scaled so: in words, and as keys of a recipe."""
    keys = best.keys()
    said = ", ".join(f'"{key}": {value}' for key, value in keys.items())
    case.mends.update(keys)
    if case.comes_as_pixels:
        return f'Set "preprocess": {{{said}}} in the recipe ({best.name}).', {"preprocess": keys}
    made = f"(pixels * scale - mean) / std with {said}"
    return f"Arrays of floating point pass as they are: make them as {made}, or send the pixels as uint8.", None


def _is_like(one: Scaling, other: Scaling) -> bool:
    return bool(np.allclose(one.gain, other.gain, rtol=0.02) and np.allclose(one.offset, other.offset, atol=0.05))
