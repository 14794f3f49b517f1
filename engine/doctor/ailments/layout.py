"""Axes in another order than the network's: channels last for first, memory read in the wrong order, turned images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.data.preprocess import frame, mean_and_std
from engine.data.scaling import normalised, of_values
from engine.data.sureness import by_margin, surer
from engine.diagnosis import Finding
from engine.doctor.case import Case, Look, NotExamined, Pixels
from engine.errors import CalibrationMismatch
from engine.input_form import check_fits

ROUGHER: Final = 1.5
"""How much rougher than in another reading neighbours are where memory was read in the wrong order."""

SURER_TURNED: Final = 2.0
"""How surely the network must prefer the images with height and width swapped: `engine.doctor.probe.surer`."""


def place(case: Case) -> Look:
    """Bring the images into (count, height, width, channels), as the network's declared sizes and the images say."""
    moved = _take(case)
    pixels, scaling = case.ready()
    roughness = {name: _roughness(read) for name, read in _readings(case, pixels)}
    smoothest = min(roughness, key=lambda name: roughness[name])
    figures = {"rougher": round(roughness["as it is"] / max(roughness[smoothest], 1e-9), 3)}
    if case.sample.kind != "pictures" and figures["rougher"] > ROUGHER:
        case.mend(dict(_readings(case, pixels))[smoothest], scaling)
        return Look(figures, _scrambled(smoothest))
    return Look(figures, moved)


def turn(case: Case) -> Look:
    """Swap height and width and see whether the network becomes surer, once all else is mended."""
    pixels, scaling = case.ready()
    before = case.answer()
    if pixels.shape[1] != pixels.shape[2]:
        return Look({})
    turned = np.ascontiguousarray(pixels.transpose(0, 2, 1, 3))
    found = surer(case.ask("turned", turned, scaling), before, by_margin)
    figures = {"surer_turned": round(found, 2)}
    if found <= SURER_TURNED:
        return Look(figures)
    case.mend(turned, scaling)
    return Look(figures, _sideways())


def _take(case: Case) -> Finding | None:
    """Make pixels and their scaling of what came; say so where the axes had to be moved for that."""
    channels = case.form.channels
    if case.values is None:
        framed = [
            frame(image, case.preprocess, name)
            for image, name in zip(case.sample.images, case.sample.names, strict=True)
        ]
        _require_one_size(framed, case)
        pixels = np.stack(framed).astype(np.float32)
        if case.form.channel_order == "BGR":
            pixels = pixels[..., ::-1]
        mean, std = mean_and_std(case.form, channels)
        case.mend(pixels, normalised("the recipe says", mean, std, channels, case.preprocess.scale))
        return None
    moved, values = _moved(case, case.values)
    last = values.transpose(0, 2, 3, 1) if case.form.preprocess.layout == "NCHW" else values
    scaling = of_values(last)
    case.mend(scaling.invert(last), scaling)
    return moved


def _require_one_size(images: list[npt.NDArray[np.uint8]], case: Case) -> None:
    for image, name in zip(images, case.sample.names, strict=True):
        shape = image.shape if case.form.preprocess.layout == "NHWC" else (image.shape[2], *image.shape[:2])
        check_fits(shape, case.form, name)
        if image.shape != images[0].shape:
            message = f"Image '{name}' has shape {image.shape}, others have {images[0].shape}; all must agree."
            raise CalibrationMismatch(f'{message} Set "preprocess": {{"resize": 256, "crop": 224}}, say.', where=name)


def _moved(case: Case, values: npt.NDArray[Any]) -> tuple[Finding | None, npt.NDArray[np.float32]]:
    """Return the values in the network's order of axes."""
    found = values.shape[1:]
    if _fits(found, case.form.shape):
        return None, values.astype(np.float32)
    for order in permutations(range(len(found))):
        if len(found) == 3 and _fits(tuple(found[axis] for axis in order), case.form.shape):
            axes = (0, *(1 + axis for axis in order))
            return _swapped(case, found, axes), values.transpose(axes).astype(np.float32)
    check_fits(found, case.form, case.sample.names[0])
    raise NotExamined("The images do not have the network's shape.")


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(size in (None, have) for size, have in zip(wanted, found, strict=True))


def _readings(case: Case, pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Yield the images as they are, and read as if their memory held another order of axes."""
    count, height, width, channels = pixels.shape
    yield "as it is", pixels
    if channels > 1:
        first = pixels.transpose(0, 3, 1, 2)
        yield "NHWC", np.ascontiguousarray(first).reshape(count, height, width, channels)
        last = np.ascontiguousarray(pixels).reshape(count, channels, height, width)
        yield "NCHW", last.transpose(0, 2, 3, 1)


def _roughness(pixels: Pixels) -> float:
    """Return how much neighbours differ, over how much pixels differ at all: 0.2 to 0.5 for photographs."""
    across = np.abs(np.diff(pixels, axis=2)).mean()
    down = np.abs(np.diff(pixels, axis=1)).mean()
    return float((across + down) / 2 / max(float(pixels.std()), 1e-9))


def _swapped(case: Case, found: tuple[int, ...], axes: tuple[int, ...]) -> Finding:
    wanted = " x ".join("any" if size is None else str(size) for size in case.form.shape)
    return Finding(
        ailment="layout",
        message=f"The images are {' x '.join(map(str, found))}; the network takes {wanted} "
        f"({case.form.preprocess.layout}): the axes are in another order.",
        fix=f"Save numpy.ascontiguousarray(images.transpose{axes}).",
        recipe=None,
    )


def _scrambled(order: str) -> Finding:
    as_said = {"NHWC": "(count, height, width, channels)", "NCHW": "(count, channels, height, width)"}[order]
    return Finding(
        ailment="layout",
        message=f"The numbers lie in memory as {order}, but were given another shape by reshape: neighbours in the "
        "images are no neighbours.",
        fix=f"Reshape them back to {as_said}, then move the axes by transpose instead of reshape.",
        recipe=None,
    )


def _sideways() -> Finding:
    return Finding(
        ailment="layout",
        message="Height and width are swapped: the network is clearly surer of the images when they are turned back.",
        fix="Swap the two axes by transpose: (width, height) is how some libraries give sizes, not how arrays lie.",
        recipe=None,
    )
