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
"""How much of the greatest variety of answers a scaling must have: a network that is shown almost nothing says the same
of all images, and that very clearly."""


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
    ways = [way for way in known_ways(pixels.shape[-1]) if not _is_like(way, given)]
    answers = [case.ask(f"scaled to {way.name}", pixels, way) for way in ways]
    varied = VARIETY_LEAST * max(answer.variety for answer in (before, *answers))
    able = [row for row, answer in enumerate(answers) if answer.variety >= varied]
    is_mute = before.variety < varied
    figures = {"surer": 0.0, "gain": 0.0, "variety": round(before.variety, 4)}
    if not able:
        return Rescaling(given, is_clear=False, figures=figures)
    best = max(able, key=lambda row: float(answers[row].clarity.mean()))
    figures["surer"] = round(surer(answers[best], before), 2)
    figures["gain"] = round(float(answers[best].clarity.mean() / before.clarity.mean()) - 1, 4)
    is_clear = is_mute or (figures["surer"] > SURER and figures["gain"] > GAIN_LEAST)
    return Rescaling(ways[best], is_clear, figures)


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
