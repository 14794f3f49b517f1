"""Whether a job would refuse its images for their shape, as far as their examination tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import CalibrationMismatch, RecipeInvalid
from engine.input_form import InputForm, check_fits, check_pixels, fitting_form
from engine.inspection import image_input
from engine.recipe import Preprocess


def misfit(analysis: Mapping[str, Any], preprocess: Preprocess, summary: Mapping[str, Any], name: str) -> str | None:
    """Return what a job would say of images of the found sizes, from the smallest on; None where they fit.

    `summary` is what an examination found in the set of this name. None, too, where the network is not known.
    """
    takes = image_input(analysis)
    try:
        if takes is not None:
            form = fitting_form(takes, preprocess)
            for size in (summary["smallest"], summary["largest"]):
                _check(tuple(size), form, name, str(summary["kind"]))
    except (CalibrationMismatch, RecipeInvalid) as error:
        return error.message
    return None


def _check(size: tuple[int, ...], form: InputForm, name: str, kind: str) -> None:
    if kind == "float array":
        check_fits(size, form, name, from_pixels=False)
    else:
        height, width, channels = size
        check_pixels((height, width, channels), form, name, convertible=kind == "pictures")
