"""The network under the knife: the upload, its plain form, the images, and where each kind of work runs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch

from engine.allowance import AMPLE, Allowance, allowance
from engine.data.calibration import load_images
from engine.data.guess import doubt
from engine.data.images import ImageSet
from engine.data.ladder import climb
from engine.data.site import Said, Site, pooled, probabilities
from engine.data.splits import Split, split
from engine.data.synthesis.draw import draw_images
from engine.errors import PostconditionFailed
from engine.execution.cores import usable_cores
from engine.execution.runtime import has_cuda
from engine.formats import load
from engine.graph.extract import extract
from engine.graph.features import Features, find_features
from engine.graph.finders import judged_by
from engine.graph.folds import fold
from engine.graph.image_input import require_image_input
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise, notes
from engine.input_form import input_form
from engine.measure.batches import outputs_in_batches
from engine.measure.cost import count
from engine.measure.feeds import Shapes
from engine.progress import Progress
from engine.recipe import Deploy, Magnitude, Recipe
from engine.report import DataUse

IMAGES_MAX = 2000
IMAGES_SHARE, SHORT_IMAGES_SHARE = 0.1, 0.05
"""The part of the budget that making images may take; in a short time few of them are looked at."""

PARITY = 1e-5
"""How far the plain form may be from the upload, relative to an output's largest number."""

HALF_PARITY = 1e-2
"""The same where the network calculates in half precision: about ten of its last digits."""


@dataclass(frozen=True)
class Subject:
    """`model` is `upload` in plain form, and `notes` say what stood in the way of that.

    `plain` is that form before anything is folded: batch norms are still there.

    `compute` says where our own forward passes run, `device` where torch does, `allowance` how much the budget allows.
    `labelled` are the labelled images that repair may see, each once and as it is: kept only where the recipe asks for
    something that learns from labels. `sent` are the names of the user's own images.
    """

    upload: Model
    plain: Model
    model: Model
    notes: tuple[str, ...]
    split: Split
    data: DataUse
    features: Features
    image_shapes: Shapes
    recipe: Recipe
    compute: Deploy
    device: str
    allowance: Allowance = AMPLE
    labelled: ImageSet | None = None
    sent: frozenset[str] = frozenset()

    def parts(self) -> Iterator[bytes]:
        """Yield all that the work follows from: network, recipe, images."""
        yield self.upload.to_bytes()
        yield self.recipe.model_dump_json().encode()
        for images in (self.split.repair, self.split.selection, self.split.test):
            yield images.inputs.tobytes()


def prepare(source: Path, calibration: Path | None, recipe: Recipe, progress: Progress) -> Subject:
    """Load and normalise the network, load or draw the images. Raises ModelError, CalibrationError, RecipeError."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    runtime_too = device == "cuda" and has_cuda()
    compute = Deploy(provider="cuda" if runtime_too else "cpu", threads=usable_cores())
    with progress.stage("load"):
        upload = load(source, recipe.architecture)
        model_input = require_image_input(upload)
        images = load_images(calibration, model_input, recipe.preprocess, seed=recipe.seed, limit=IMAGES_MAX)
    with progress.stage("normalise"):
        plain = normalise(upload)
        model = merge(fold(plain))
        features = find_features(model)
        one = images if len(images) else draw_images(model_input, recipe.preprocess, 1, recipe.seed)
        _require_same(upload, model, one.take(np.arange(1)), compute)
    with progress.stage("images"):
        allowed = allowance(model, {model_input.name: one.inputs.shape[1:]}, recipe.budget_seconds)
        is_short = allowed.is_short and not isinstance(recipe.method, Magnitude)
        share = SHORT_IMAGES_SHARE if is_short else IMAGES_SHARE
        ask = functools.partial(_ask, model, features, compute)
        site = Site(
            model=plain,
            features=features,
            model_input=model_input,
            preprocess=recipe.preprocess,
            ask=ask,
            device=device,
            seed=recipe.seed,
            seconds=share * recipe.budget_seconds,
        )
        macs = count(model, {model_input.name: one.inputs.shape[1:]}).macs
        doubts = doubt(images, input_form(model_input, recipe.preprocess), ask, macs)
        climbed = climb(images, site, recipe.synthesis)
    return Subject(
        upload=upload,
        plain=plain,
        model=model,
        split=climbed.split,
        data=climbed.use,
        notes=(*doubts, *notes(plain), *climbed.warnings),
        features=features,
        image_shapes={model_input.name: climbed.split.repair.inputs.shape[1:]},
        allowance=allowed,
        recipe=recipe,
        compute=compute,
        device=device,
        labelled=_labelled(images, recipe),
        sent=frozenset(images.names),
    )


def _labelled(images: ImageSet, recipe: Recipe) -> ImageSet | None:
    """Return the images that repair got of those that were sent, before others were put beside them."""
    wanted = recipe.controls or recipe.method.uses_labels
    if not wanted or images.labels is None or not len(images):
        return None
    return split(images, recipe.seed).repair


def _ask(model: Model, features: Features, compute: Deploy, images: ImageSet) -> Said:
    """Return what the network says of images, features averaged over places and the first output of class scores."""
    part = extract(model, (*features.values, *features.logits))
    batches = list(outputs_in_batches(part, images, compute))
    means = [np.concatenate([pooled(batch[name]) for name in features.values], axis=1) for batch in batches]
    if not features.logits:
        return Said(None, np.concatenate(means))
    scores = np.concatenate([batch[features.logits[0]] for batch in batches])
    return Said(probabilities(scores), np.concatenate(means))


def _require_same(upload: Model, model: Model, images: ImageSet, compute: Deploy) -> None:
    """Hold the plain form against the upload on one image, but for detections: how many there are hangs by a hair."""
    found = {output.name for output in model.graph.outputs if judged_by(output)}
    allowed = HALF_PARITY if _has_halves(upload) else PARITY
    (before,) = outputs_in_batches(upload, images, compute)
    (after,) = outputs_in_batches(model, images, compute)
    for name, expected in before.items():
        if name in found:
            continue
        scale = max(float(np.abs(expected).max(initial=0.0)), 1e-12)
        error = float(np.abs(after[name].astype(np.float64) - expected).max(initial=0.0)) / scale
        if not error <= allowed:
            raise PostconditionFailed(f"Normalising changed the output '{name}' by {error:.1e}.", where=name)


def _has_halves(model: Model) -> bool:
    """Say whether weights or settings are kept in half precision."""
    halves = {ir.DataType.FLOAT16, ir.DataType.BFLOAT16}
    return any(value.dtype in halves for value in model.graph.initializers.values())
