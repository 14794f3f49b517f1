"""Red and blue in each other's place."""

from __future__ import annotations

from typing import Any, Final

from engine.data.sureness import by_margin, surer
from engine.diagnosis import Finding
from engine.doctor.case import Case, Look, NotExamined

SURER_SWAPPED: Final = 2.0
"""How surely the network must prefer the swapped channels: `engine.doctor.probe.surer`."""


def look(case: Case) -> Look:
    """Swap the channels and see whether the network becomes surer."""
    pixels, scaling = case.ready()
    if pixels.shape[-1] != 3:
        raise NotExamined("The network takes no colour images.")
    before = case.answer()
    swapped = pixels[..., ::-1]
    found = surer(case.ask("swapped", swapped, scaling), before, by_margin)
    figures = {"surer_swapped": round(found, 2)}
    if found <= SURER_SWAPPED:
        return Look(figures)
    case.mend(swapped, scaling)
    return Look(figures, _finding(case))


def _finding(case: Case) -> Finding:
    order = "RGB" if case.form.channel_order == "BGR" else "BGR"
    keys: dict[str, Any] = {"channel_order": order}
    scaling = case.ready()[1].keys()  # a default mean and std would be turned round with the channels
    fix = "Turn the channel axis round in the arrays: images[..., ::-1] where channels come last."
    recipe = None
    if case.comes_as_pixels:
        recipe = {"preprocess": keys | scaling}
        case.mends.update(recipe["preprocess"])
        fix = f'Set "preprocess": {{"channel_order": "{order}"}} in the recipe, with mean and std given beside it.'
    message = "Red and blue are swapped: the network is clearly surer of the images with the channels turned round."
    return Finding(ailment="channel_order", message=message, fix=fix, recipe=recipe)
