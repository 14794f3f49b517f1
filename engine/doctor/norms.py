"""How far what flows through a network is from the statistics that its batch norms keep, where it has any left.

They tell a wrong scaling by a wide margin, a wrong order of channels by a small one, foreign photographs not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.graph.model import Model

Floats = npt.NDArray[np.float64]

LAYERS_MOST: Final = 8
LEAST_VARIANCE: Final = 1e-3
"""Of a layer's mean variance: a dead channel would outweigh all others."""


@dataclass(frozen=True)
class Norm:
    """What one batch norm reads, and the mean and the variance (channels,) that this had in training."""

    reads: str
    mean: Floats
    variance: Floats

    def distance(self, values: npt.NDArray[Any]) -> float:
        """Return how far (count, channels, …) values are from it: 0 is equal, 1 about a deviation off."""
        axes = tuple(axis for axis in range(values.ndim) if axis != 1)
        mean, variance = values.mean(axis=axes, dtype=np.float64), values.var(axis=axes, dtype=np.float64)
        floor = self.variance + LEAST_VARIANCE * self.variance.mean()
        off = np.square(mean - self.mean) + np.square(np.sqrt(variance) - np.sqrt(self.variance))
        return float((off / floor).mean())


def find_norms(plain: Model) -> tuple[Norm, ...]:
    """Return up to eight of a network's batch norms, spread over its depth."""
    found = []
    for node in plain.graph:
        names = [str(value.name) for value in node.inputs if value is not None]
        if node.op_type == "BatchNormalization" and set(names[3:5]) <= plain.graph.initializers.keys():
            mean, variance = (plain.weight(name).astype(np.float64) for name in names[3:5])
            found.append(Norm(names[0], mean, variance))
    chosen = np.linspace(0, len(found) - 1, min(len(found), LAYERS_MOST)).round().astype(int)
    return tuple(found[index] for index in chosen)


def distance(norms: tuple[Norm, ...], values: Mapping[str, npt.NDArray[Any]]) -> float:
    """Return the mean distance of a batch over the norms."""
    return float(np.mean([norm.distance(values[norm.reads]) for norm in norms]))
