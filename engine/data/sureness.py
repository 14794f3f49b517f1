"""How sure a network is of images, told from its answers, and whether it is surer of them when they come otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.data.site import probabilities

Floats = npt.NDArray[np.float64]

ROWS_LEAST: Final = 4
LEAST_SCORE: Final = 1e-9

SURER: Final = 1.5
"""How surely the network must prefer another way: `surer`."""

GAIN_LEAST: Final = 0.03
"""And by how much its clarity must grow: with many images small differences are sure, too, and no matter."""

VARIETY_LEAST: Final = 0.5
"""How much of the greatest variety of answers a way must have: a network that is shown almost nothing says the same of
all images, and that very clearly."""


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
    """Go by how far the best score stands above the mean of all; of probabilities, by their logarithms."""
    scores = _before_the_softmax(scores)
    deviation = max(float(scores.std()), LEAST_SCORE)
    margins = np.asarray(scores.max(axis=1) - scores.mean(axis=1))
    from_images = float((scores - scores.mean(axis=0)).std())
    return Answer(margins, margins / deviation, from_images / deviation, scores)


def of_distances(distances: Floats) -> Answer:
    """Go by how near groups of images come to the statistics of the batch norms."""
    return Answer(-distances, 1 / (1 + distances), 1.0, None)


@dataclass(frozen=True)
class Preference:
    """The place of the way that suits best, None where none is able, and whether it clearly does, by which figures."""

    best: int | None
    is_clear: bool
    figures: dict[str, float]


def preferred(before: Answer, others: Sequence[Answer]) -> Preference:
    """Tell which other way of showing the same images a network is surest of, and whether clearly more than before."""
    varied = VARIETY_LEAST * max(answer.variety for answer in (before, *others))
    able = [row for row, answer in enumerate(others) if answer.variety >= varied]
    is_mute = before.variety < varied
    figures = {"surer": 0.0, "gain": 0.0, "variety": round(before.variety, 4)}
    if not able:
        return Preference(None, is_clear=False, figures=figures)
    best = max(able, key=lambda row: float(others[row].clarity.mean()))
    figures["surer"] = round(surer(others[best], before), 2)
    figures["gain"] = round(float(others[best].clarity.mean() / max(before.clarity.mean(), LEAST_SCORE)) - 1, 4)
    return Preference(best, is_mute or (figures["surer"] > SURER and figures["gain"] > GAIN_LEAST), figures)


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
