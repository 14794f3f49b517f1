"""What the uncut network says of the images that recovery is judged by, kept once and compared often."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from engine.data.images import ImageSet
from engine.graph.extract import extract
from engine.graph.features import Features
from engine.graph.model import Model
from engine.measure.batches import Outputs, outputs_in_batches
from engine.recipe import Deploy

KEPT_BYTES_MAX = 512 * 2**20


class Reference:
    """The features of held-out images in the uncut network; `images` are fewer than given where memory asks for it."""

    def __init__(self, model: Model, features: Features, images: ImageSet, compute: Deploy) -> None:
        self.features, self.compute = features, compute
        part = extract(model, features.values)
        self._answers: list[Outputs] = []
        for answer in outputs_in_batches(part, images, compute):
            self._answers.append(answer)
            if sum(array.nbytes for kept in self._answers for array in kept.values()) > KEPT_BYTES_MAX:
                break
        count = sum(len(next(iter(answer.values()))) for answer in self._answers)
        self.images = images.take(np.arange(count))

    def error_of(self, model: Model, features: Features) -> float:
        """Return the relative feature error of a model whose `features` are these, run in ONNX Runtime."""
        return self.error(outputs_in_batches(extract(model, features.values), self.images, self.compute), features)

    def error(self, answers: Iterable[Outputs], features: Features) -> float:
        """Return |answer - reference|² / |reference|² over all images, averaged over the features; 0 is perfect.

        It is infinity where an answer is no number, so that the least of several errors is a number if one is.
        `features` names the answers' values, in the order of the reference's own.
        """
        wrong = dict.fromkeys(self.features.values, 0.0)
        power = dict.fromkeys(self.features.values, 0.0)
        for answer, right in zip(answers, self._answers, strict=True):
            for name, found_in in zip(self.features.values, features.values, strict=True):
                wrong[name] += float(np.square(answer[found_in] - right[name], dtype=np.float64).sum())
                power[name] += float(np.square(right[name], dtype=np.float64).sum())
        error = float(np.mean([wrong[name] / max(power[name], 1e-30) for name in self.features.values]))
        return error if math.isfinite(error) else math.inf
