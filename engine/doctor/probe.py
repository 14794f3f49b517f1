"""The network as the doctor asks it: how sure is it of these images?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet, Inputs
from engine.data.site import probabilities
from engine.execution.runtime import open_session, run
from engine.graph.extract import extract
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.measure.batches import input_batches, without_filling

Floats = npt.NDArray[np.float64]

BATCH: Final = 16
LEAST_SCORE: Final = 1e-9


@dataclass(frozen=True)
class Answer:
    """What the network says of images, row for row: scores before any soft-max (count, classes)."""

    scores: Floats

    @property
    def margins(self) -> Floats:
        """Return how far the best score stands above the mean, (count,). It grows with the scores' scale."""
        return np.asarray(self.scores.max(axis=1) - self.scores.mean(axis=1))

    @property
    def clarity(self) -> Floats:
        """Return the margins over the spread of all scores: no contrast of the images makes it grow by itself."""
        return np.asarray(self.margins / max(float(self.scores.std()), LEAST_SCORE))

    @property
    def variety(self) -> float:
        """Return which part of the scores' deviation comes from the images, 0 to 1: 0 says the same of all of them."""
        from_images = (self.scores - self.scores.mean(axis=0)).std()
        return float(from_images / max(float(self.scores.std()), LEAST_SCORE))

    @property
    def classes(self) -> npt.NDArray[np.intp]:
        return np.asarray(self.scores.argmax(axis=1))

    @property
    def confidence(self) -> float:
        return float(probabilities(self.scores).max(axis=1).mean())


class Probe:
    """Runs a network that scores classes, on one thread: it may stand beside a job that measures."""

    def __init__(self, plain: Model) -> None:
        """`plain` is normalised. Raises ModelError where it cannot be run, OperatorUnsupported without an output."""
        logits = find_features(plain).logits
        self.scores_classes = bool(logits)
        self._part = extract(plain, logits[:1]) if logits else plain
        self._output = logits[0] if logits else ""
        self._session = open_session(self._part, spinning=False) if logits else None
        self._input = plain.inputs[0].name

    def ask(self, inputs: Inputs) -> Answer:
        """Return what the network says of (count, …) inputs; only for a network that scores classes."""
        assert self._session is not None
        images = ImageSet(inputs, None, tuple(str(row) for row in range(len(inputs))))
        found = []
        for batch, used in input_batches(self._part, images, BATCH):
            output = run(self._session, {self._input: np.ascontiguousarray(batch)})[self._output]
            found.append(without_filling(output, len(batch), used))
        return Answer(_before_the_softmax(np.concatenate(found).astype(np.float64)))


def by_clarity(answer: Answer) -> Floats:
    return answer.clarity


def by_margin(answer: Answer) -> Floats:
    return answer.margins


def surer(one: Answer, other: Answer, by: Callable[[Answer], Floats] = by_clarity) -> float:
    """Return how surely the network is surer of `one` than of `other`, the same images treated in another way.

    Go by margins where both have the same contrast: they tell more. It is the t statistic of the paired differences:
    0 is no difference, above 3 hardly chance.
    """
    gain = by(one) - by(other)
    deviation = float(gain.std(ddof=1)) if len(gain) > 1 else 0.0
    return float(gain.mean() / max(deviation / np.sqrt(len(gain)), LEAST_SCORE))


def _before_the_softmax(scores: Floats) -> Floats:
    """Return scores whose differences count; of probabilities, their logarithms."""
    if scores.size and scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return np.log(np.maximum(scores, 1e-12))
    return scores
