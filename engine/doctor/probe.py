"""The network as the doctor asks it: how sure is it of these images?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet, Inputs
from engine.data.site import probabilities
from engine.doctor.norms import distance, find_norms
from engine.execution.runtime import open_session, run
from engine.graph.extract import extract
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.measure.batches import input_batches, without_filling

Floats = npt.NDArray[np.float64]

BATCH: Final = 16
GROUP: Final = 8
"""Images whose statistics are compared with a batch norm's at a time: enough for a mean, and many groups in a set."""

ROWS_LEAST: Final = 4
LEAST_SCORE: Final = 1e-9


@dataclass(frozen=True)
class Answer:
    """What the network says of images, row for row.

    `margins` tell how sure it is, and grow with the contrast of the images; `clarity` does not, whatever the contrast.
    `variety`, 0 to 1, is which part of the answers comes from the images: 0 says the same of all of them. `scores`
    (count, classes) are those before any soft-max, None of a network that scores no classes: then a row is a group of
    images.
    """

    margins: Floats
    clarity: Floats
    variety: float
    scores: Floats | None

    @property
    def confidence(self) -> float | None:
        return None if self.scores is None else float(probabilities(self.scores).max(axis=1).mean())


def of_scores(scores: Floats) -> Answer:
    """Go by how far the best score stands above the mean of all."""
    deviation = max(float(scores.std()), LEAST_SCORE)
    margins = np.asarray(scores.max(axis=1) - scores.mean(axis=1))
    from_images = float((scores - scores.mean(axis=0)).std())
    return Answer(margins, margins / deviation, from_images / deviation, scores)


def of_distances(distances: Floats) -> Answer:
    """Go by how near groups of images come to the statistics of the batch norms."""
    return Answer(-distances, 1 / (1 + distances), 1.0, None)


class Probe:
    """Runs a network on one thread: it may stand beside a job that measures.

    A network that scores classes is asked for these; of another one the batch norms are asked, if there are any.
    """

    def __init__(self, plain: Model) -> None:
        """`plain` is normalised. Raises ModelError where it cannot be run, OperatorUnsupported without an output."""
        logits = find_features(plain).logits[:1]
        self._norms = () if logits else find_norms(plain)
        wanted = logits or tuple(dict.fromkeys(norm.reads for norm in self._norms))
        self.scores_classes, self.can_tell = bool(logits), bool(wanted)
        self._input, self._output = plain.inputs[0].name, logits[0] if logits else ""
        self._part = extract(plain, wanted) if wanted else plain
        self._session = open_session(self._part, spinning=False) if wanted else None

    def ask(self, inputs: Inputs) -> Answer:
        """Return what the network says of (count, …) inputs; only for one that can tell."""
        if self.scores_classes:
            found = [outputs[self._output] for outputs in self._run(inputs, BATCH)]
            return of_scores(_before_the_softmax(np.concatenate(found).astype(np.float64)))
        return of_distances(np.array([distance(self._norms, outputs) for outputs in self._run(inputs, GROUP)]))

    def _run(self, inputs: Inputs, batch: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
        assert self._session is not None
        images = ImageSet(inputs, None, tuple(str(row) for row in range(len(inputs))))
        for fed, used in input_batches(self._part, images, batch):
            outputs = run(self._session, {self._input: np.ascontiguousarray(fed)})
            yield {name: without_filling(value, len(fed), used) for name, value in outputs.items()}


def by_clarity(answer: Answer) -> Floats:
    return answer.clarity


def by_margin(answer: Answer) -> Floats:
    return answer.margins


def surer(one: Answer, other: Answer, by: Callable[[Answer], Floats] = by_clarity) -> float:
    """Return how surely the network is surer of `one` than of `other`, the same images treated in another way.

    Go by margins where both have the same contrast: they tell more. It is the t statistic of the paired differences:
    0 is no difference or too few rows, above 3 is hardly chance.
    """
    gain = by(one) - by(other)
    if len(gain) < ROWS_LEAST:
        return 0.0
    return float(gain.mean() / max(float(gain.std(ddof=1)) / np.sqrt(len(gain)), LEAST_SCORE))


def _before_the_softmax(scores: Floats) -> Floats:
    """Return scores whose differences count; of probabilities, their logarithms."""
    if scores.size and scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return np.log(np.maximum(scores, 1e-12))
    return scores
