"""Which images are taken from many: seeded, and spread evenly over the classes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.images import Labels

Indices = npt.NDArray[np.intp]


def sample_evenly(labels: Labels | None, total: int, count: int, generator: np.random.Generator) -> Indices:
    """Return `count` distinct indices below `total`, ascending; each class gives its share, rounded up or down.

    A systematic sample: images are laid out class by class, shuffled within each, and every (total / count)-th is taken
    from a random start. The number drawn is exact even where classes are many and small.
    """
    layout = _shuffled_by_class(labels, total, generator)
    start = generator.integers(total) if total else 0
    positions = (start + np.arange(count, dtype=np.intp) * total) // max(count, 1)
    return np.sort(layout[positions])


def _shuffled_by_class(labels: Labels | None, total: int, generator: np.random.Generator) -> Indices:
    shuffled = generator.permutation(total)
    if labels is None:
        return shuffled
    classes, codes = np.unique(labels, return_inverse=True)
    rank = generator.permutation(len(classes))  # so that what rounding favours is not always the first classes
    return shuffled[np.argsort(rank[codes[shuffled]], kind="stable")]
