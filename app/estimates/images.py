"""Whether a job would refuse its images for their shape, as far as their examination tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, PositiveInt, ValidationError

from engine.errors import CalibrationMismatch, RecipeInvalid
from engine.input_form import InputForm, check_agrees, check_fits, check_pixels, fitting_form
from engine.inspection import image_input
from engine.recipe import Preprocess


class _Sizes(BaseModel):
    """What is needed of a `Survey`, whichever version has written it."""

    kind: Literal["pictures", "pixel array", "float array"]
    smallest: tuple[PositiveInt, ...]
    largest: tuple[PositiveInt, ...]


def misfit(analysis: Mapping[str, Any], preprocess: Preprocess, summary: Mapping[str, Any], name: str) -> str | None:
    """Return what a job would say of the smallest and the largest of the images looked at; None where they fit.

    `summary` is what an examination found in the set of this name. None, too, where network or set is not known.
    """
    takes, found = image_input(analysis), _read(summary)
    try:
        if takes is not None and found is not None:
            form = fitting_form(takes, preprocess)
            smallest, largest = (_fed(size, form, name, found.kind) for size in (found.smallest, found.largest))
            if smallest is not None and largest is not None:
                check_agrees(largest, smallest, form, name)
    except (CalibrationMismatch, RecipeInvalid) as error:
        return error.message
    return None


def _read(summary: Mapping[str, Any]) -> _Sizes | None:
    try:
        return _Sizes.model_validate(summary)
    except ValidationError:
        return None


def _fed(size: tuple[int, ...], form: InputForm, name: str, kind: str) -> tuple[int, ...] | None:
    """Return the shape that images of this size are fed in; None of pixels whose size cannot be one."""
    if kind == "float array":
        check_fits(size, form, name, from_pixels=False)
        return size
    if len(size) != 3:
        return None
    height, width, channels = size
    return check_pixels((height, width, channels), form, name, convertible=kind == "pictures")
