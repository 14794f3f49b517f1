"""The data ladder: real images where there are enough, procedural ones in their place or beside them where not."""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.data.images import ImageSet
from engine.data.splits import Split, split
from engine.data.synthesis.draw import draw_images
from engine.graph.model import TensorInfo
from engine.recipe import Preprocess
from engine.report import DataUse

ENOUGH_IMAGES = 16
DRAWN_IMAGES = 256


def climb(images: ImageSet, model_input: TensorInfo, preprocess: Preprocess, seed: int) -> tuple[Split, DataUse]:
    """Return who sees which image, and what the report says of it.

    Rung 0: 16 real images or more, nothing else. Rung 1: fewer, procedural images beside them; or none, and then no
    image tests, because agreement on drawn pictures says nothing about photographs.
    """
    if len(images) >= ENOUGH_IMAGES:
        real = split(images, seed)
        return real, _use(0, "calibration", real, images.notes)
    drawn = draw_images(_sized_as(images, model_input), preprocess, DRAWN_IMAGES, seed)
    parts = split(drawn, seed)
    if not len(images):
        parts = dataclasses.replace(parts, repair=_together(parts.repair, parts.test), test=images)
        return parts, _use(1, "procedural", parts, (*images.notes, *drawn.notes))
    real = split(images, seed)
    mixed = Split(_together(real.repair, parts.repair), _together(real.selection, parts.selection), real.test)
    return mixed, _use(1, "mixed", mixed, (*images.notes, *drawn.notes))


def _sized_as(images: ImageSet, model_input: TensorInfo) -> TensorInfo:
    """Return the input with the sizes that it leaves open taken from the user's images, if there are any."""
    if not len(images):
        return model_input
    return dataclasses.replace(model_input, shape=(*model_input.shape[:1], *images.inputs.shape[1:]))


def _together(first: ImageSet, second: ImageSet) -> ImageSet:
    return ImageSet(np.concatenate([first.inputs, second.inputs]), None, (*first.names, *second.names))


def _use(rung: int, source: str, parts: Split, notes: tuple[str, ...]) -> DataUse:
    return DataUse.model_validate(
        {
            "rung": rung,
            "source": source,
            "repair_images": len(parts.repair),
            "selection_images": len(parts.selection),
            "test_images": len(parts.test),
            "notes": notes,
        }
    )
