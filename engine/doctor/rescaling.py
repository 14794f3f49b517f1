"""Which of the usual scalings suits a network best, by how sure it is of the same images under each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.data.scaling import Scaling, known_ways
from engine.data.sureness import preferred
from engine.doctor.case import Case


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
    ways = [way for way in known_ways(pixels.shape[-1]) if not way.is_like(given)]
    answers = [case.ask(f"scaled to {way.name}", pixels, way) for way in ways]
    found = preferred(before, answers)
    best = given if found.best is None else ways[found.best]
    return Rescaling(best, found.is_clear, found.figures)


def explain(case: Case, best: Scaling) -> tuple[str, dict[str, Any] | None]:
    """Return how the images come to be scaled so: in words, and as keys of a recipe."""
    keys = best.keys()
    said = ", ".join(f'"{key}": {value}' for key, value in keys.items())
    case.mends.update(keys)
    if case.comes_as_pixels:
        return f'Set "preprocess": {{{said}}} in the recipe ({best.name}).', {"preprocess": keys}
    made = f"(pixels * scale - mean) / std with {said}"
    return f"Arrays of floating point pass as they are: make them as {made}, or send the pixels as uint8.", None
