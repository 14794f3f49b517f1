"""A network and its images as a job has them once they are loaded, with nothing of a job around them."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.data.images import ImageSet
from engine.data.splits import Split
from engine.graph.features import find_features
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.recipe import Deploy, Recipe
from engine.report import DataUse
from engine.subject import Subject
from tests.networks import images as drawn_inputs

ASKED: dict[str, Any] = {"budget_seconds": 10, "deploy": {"batch": 2}, "outputs": ["fp16", "int8"]}


def plain(upload: Model) -> Model:
    """Return the network as every job has it before anything is cut."""
    return merge(fold(normalise(upload)))


def images_for(model: Model, count: int, seed: int = 1) -> ImageSet:
    """Draw so many images that the network takes."""
    batch = next(iter(drawn_inputs(model, batch=None, seed=seed).values()))
    inputs = np.random.default_rng(seed).standard_normal((count, *batch.shape[1:]), dtype=np.float32)
    return ImageSet(inputs, None, tuple(map(str, range(count))))


def subject_of(upload: Model, *, images: int = 24, source: str = "calibration", **changes: Any) -> Subject:
    """Return what a job would have made of the upload and so many images, a quarter of them for the test."""
    normalised, shown = normalise(upload), images_for(upload, images)
    model = merge(fold(normalised))
    test = images // 4
    split = Split(*(shown.take(np.arange(*ends)) for ends in ((test, images), (test, test + 2), (0, test))))
    use = {"rung": 0, "source": source, "repair_images": len(split.repair), "selection_images": 2, "test_images": test}
    return Subject(
        upload=upload,
        plain=normalised,
        model=model,
        notes=(),
        split=split,
        data=DataUse.model_validate(use),
        features=find_features(model),
        image_shapes={upload.inputs[0].name: shown.inputs.shape[1:]},
        recipe=Recipe.model_validate(ASKED | changes),
        compute=Deploy(),
        device="cpu",
    )
