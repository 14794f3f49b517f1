"""Sites to make images for: a network, and one that only pretends to look."""

from __future__ import annotations

import numpy as np
import torch

from engine.data.images import ImageSet
from engine.data.site import Said, Site, pooled, probabilities
from engine.execution.executor import Executor
from engine.graph.features import find_features
from engine.graph.model import Model, TensorInfo
from engine.recipe import Preprocess
from tests.networks import residual

CLASSES, WIDTH = 4, 6


def answered(images: ImageSet) -> Said:
    """Answer without a network: features and classes are random sums of the image's numbers."""
    numbers = images.inputs.reshape(len(images), -1).astype(np.float64)
    directions = np.random.default_rng(0).standard_normal((numbers.shape[1], WIDTH + CLASSES))
    seen = 4 * numbers @ directions / np.sqrt(numbers.shape[1])
    seen[:, :WIDTH] *= np.arange(WIDTH, 0, -1) ** 2  # features vary far more in some directions than in others
    return Said(probabilities(seen[:, WIDTH:]), seen[:, :WIDTH])


def blank_site(model_input: TensorInfo, preprocess: Preprocess, seconds: float = 60.0) -> Site:
    """Return a site whose network is never run."""
    model = residual()
    return Site(model, find_features(model), model_input, preprocess, answered, "cpu", 0, seconds)


def site_of(model: Model, *, layout: str = "NCHW", seconds: float = 60.0) -> Site:
    """Return the site of a real network, which is asked in PyTorch."""
    features, network = find_features(model), Executor(model)

    def ask(images: ImageSet) -> Said:
        with torch.no_grad():
            names = [*features.values, *features.logits]
            said = network({model.inputs[0].name: torch.from_numpy(images.inputs)}, fetch=names)
        logits = probabilities(said[features.logits[0]].numpy())
        return Said(logits, pooled(said[features.values[0]].numpy()))

    preprocess = Preprocess.model_validate({"layout": layout})
    return Site(model, features, model.inputs[0], preprocess, ask, "cpu", 0, seconds)


def nothing(*shape: int) -> ImageSet:
    return ImageSet(np.empty((0, *shape), np.float32), None, ())
