"""The doctor's visit, from two files to a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np

from engine.data.channels import ChannelMatcher
from engine.diagnosis import Ailment, Check, Diagnosis, Finding
from engine.doctor.ailments import LOOKS
from engine.doctor.ailments.dtype import SEND_PIXELS
from engine.doctor.ailments.layout import place
from engine.doctor.case import Case, Look, NotExamined
from engine.doctor.probe import Probe
from engine.doctor.sample import Sample, draw
from engine.errors import CalibrationWrongType, RecipeInvalid
from engine.formats import load
from engine.graph.image_input import require_image_input
from engine.graph.model import Model, TensorInfo
from engine.graph.normalise import normalise
from engine.input_form import InputForm, input_form
from engine.measure.cost import count
from engine.recipe import Preprocess, Recipe

IMAGES: Final = (32, 128)
"""So few and so many images are shown to the network, by what it costs."""

MACS_EACH_VIEW: Final = 24e9


def diagnose(model: Path, images: Path, recipe: Recipe) -> Diagnosis:
    """Look at a set of images with a network's eyes, read as the recipe's preprocess says.

    Raises ModelError, CalibrationError or RecipeError where one of the two cannot be used at all.
    """
    return examine(normalise(load(model, recipe.architecture)), images, recipe)


def examine(plain: Model, images: Path, recipe: Recipe) -> Diagnosis:
    """Do the same with a network in plain form."""
    model_input = require_image_input(plain)
    looked_at = _affordable(plain)
    try:
        sample = draw(images, looked_at, recipe.seed)
    except CalibrationWrongType as error:
        return _refused(error, recipe.preprocess)
    form, misread = _form(model_input, recipe.preprocess)
    case = _case(sample, form, Probe(plain))
    looked, first = [], None
    for ailment, look in LOOKS:
        looked.append((ailment, _look(case, look)))
        if look is place:
            first = _confidence(case)
    findings = [] if misread is None else [misread]
    findings += [found.finding for _, found in looked if isinstance(found, Look) and found.finding is not None]
    return Diagnosis(
        images=sample.total,
        looked_at=len(sample.images),
        preprocess=recipe.preprocess,
        findings=tuple(findings),
        checks=tuple(_check(ailment, looked, findings) for ailment in get_args(Ailment)),
        recipe={"preprocess": case.mends} if case.mends and case.comes_as_pixels else None,
        confidence=first,
        confidence_mended=_confidence(case),
        notes=sample.notes,
    )


def _look(case: Case, look: Callable[[Case], Look]) -> Look | NotExamined:
    try:
        return look(case)
    except NotExamined as reason:
        return reason


def _check(
    ailment: Ailment, looked: Sequence[tuple[Ailment, Look | NotExamined]], findings: Sequence[Finding]
) -> Check:
    """Put together what the looks for one ailment have found."""
    mine = [found for name, found in looked if name == ailment]
    seen = [found for found in mine if isinstance(found, Look)]
    note = next((str(found) for found in mine if isinstance(found, NotExamined)), None)
    figures = {name: value for found in seen for name, value in found.figures.items()}
    verdict: Literal["found", "healthy", "not examined"] = "healthy" if seen else "not examined"
    if any(finding.ailment == ailment for finding in findings):
        verdict = "found"
    return Check(ailment=ailment, verdict=verdict, figures=figures, note=note)


def _affordable(plain: Model) -> int:
    """Return how many images the network can be shown a dozen times within seconds."""
    macs = count(plain).macs or 1
    return int(min(max(MACS_EACH_VIEW // macs, IMAGES[0]), IMAGES[1]))


def _confidence(case: Case) -> float | None:
    try:
        confidence = case.answer().confidence
    except NotExamined:
        return None
    return None if confidence is None else round(confidence, 4)


def _form(model_input: TensorInfo, preprocess: Preprocess) -> tuple[InputForm, Finding | None]:
    """Read the input's form; where the recipe's layout plainly is not the network's, go on with the network's."""
    try:
        return input_form(model_input, preprocess), None
    except RecipeInvalid as error:
        other: Literal["NCHW", "NHWC"] = "NHWC" if preprocess.layout == "NCHW" else "NCHW"
        keys = {"layout": other}
        fix = f'Set "preprocess": {{"layout": "{other}"}} in the recipe.'
        wrong = Finding(ailment="layout", message=error.message, fix=fix, recipe={"preprocess": keys})
        return input_form(model_input, preprocess.model_copy(update=keys)), wrong


def _case(sample: Sample, form: InputForm, probe: Probe) -> Case:
    if sample.kind == "float array":
        return Case(sample, form, form.preprocess, probe, values=np.stack(sample.images))
    matcher = ChannelMatcher(form, sample.kind == "pictures")
    matched = [matcher.match(image, name) for image, name in zip(sample.images, sample.names, strict=True)]
    return Case(replace(sample, images=tuple(matched)), form, form.preprocess, probe)


def _refused(error: CalibrationWrongType, preprocess: Preprocess) -> Diagnosis:
    """Say of an array that no job could read what is wrong with it, and that no more was looked for."""
    finding = Finding(ailment="dtype", message=error.message, fix=SEND_PIXELS, recipe=None)
    note = "The array is of a type that is not read."
    checks = [
        Check(ailment=ailment, verdict="found" if ailment == "dtype" else "not examined", figures={}, note=note)
        for ailment in get_args(Ailment)
    ]
    return Diagnosis(
        images=0,
        looked_at=0,
        preprocess=preprocess,
        findings=(finding,),
        checks=tuple(checks),
        recipe=None,
        confidence=None,
        confidence_mended=None,
        notes=(),
    )
