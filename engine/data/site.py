"""For whom images are made: the uncut network, what it takes, and how it is asked. Knows no runtime of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.graph.features import Features
from engine.graph.model import Model, TensorInfo
from engine.recipe import Preprocess

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Said:
    """What the uncut network says of images, row for row.

    `probabilities` is (count, classes), None where the network scores no classes. `features` is (count, width): the
    values that its heads read, averaged over places or tokens.
    """

    probabilities: Floats | None
    features: Floats

    def beside(self, others: Said) -> Said:
        """Return the answers of both, these first."""
        features = np.concatenate([self.features, others.features])
        if self.probabilities is None or others.probabilities is None:
            return Said(None, features)
        return Said(np.concatenate([self.probabilities, others.probabilities]), features)

    @property
    def classes(self) -> npt.NDArray[np.intp] | None:
        """Return the class that each image is taken for."""
        return None if self.probabilities is None else self.probabilities.argmax(axis=1)


@dataclass(frozen=True)
class Site:
    """`model` is the network with its batch norms, where it has any, and `features` are those of the folded one.

    `ask` runs it over images; `seconds` is what making images may take in all; `device` is where torch may do it.
    """

    model: Model
    features: Features
    model_input: TensorInfo
    preprocess: Preprocess
    ask: Callable[[ImageSet], Said]
    device: str
    seed: int
    seconds: float


def pooled(features: npt.NDArray[np.floating]) -> Floats:
    """Return (count, width): maps (count, channels, h, w) and tokens (count, tokens, width) averaged."""
    values = features.astype(np.float64)
    if values.ndim == 4:
        return np.asarray(values.mean(axis=(2, 3)))
    if values.ndim == 3:
        return np.asarray(values.mean(axis=1))
    return values.reshape(len(values), -1)


def probabilities(scores: npt.NDArray[np.floating]) -> Floats:
    """Return class scores as probabilities: as they are where they are some already, soft-maxed otherwise."""
    values = scores.astype(np.float64)
    if values.size and values.min() >= 0 and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        return values
    powers = np.exp(values - values.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
