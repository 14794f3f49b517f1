"""Even shares of classes, as the uncut network sees them: labels are neither needed nor believed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.sampling import Indices

REPEATS_MOST = 4
"""More copies of one image teach what it shows by chance."""
UNEVEN_EVENNESS = 0.85
"""Of a histogram's entropy against that of a fair draw of as many images; below, classes are out of balance."""


def evenness(classes: Indices, of: int, seed: int) -> float:
    """Return how evenly `classes` are spread over `of` of them: 1 is as even as a fair draw of as many images."""
    generator = np.random.default_rng(seed)
    fair = [_entropy(generator.integers(of, size=len(classes)), of) for _ in range(20)]
    return min(1.0, _entropy(classes, of) / max(float(np.mean(fair)), 1e-9))


def balanced_rows(classes: Indices, seed: int) -> Indices:
    """Return row numbers in which the rarer classes come repeatedly, four times at most; every row is there.

    A class with a tenth of the images of the largest one has four tenths of the rows.
    """
    generator = np.random.default_rng(seed)
    counts = np.bincount(classes)
    rows = [np.arange(len(classes))]
    for found in np.flatnonzero(counts):
        wanted = min(int(counts.max()), REPEATS_MOST * int(counts[found])) - int(counts[found])
        rows.append(_repeated(np.flatnonzero(classes == found), wanted, generator))
    return np.sort(np.concatenate(rows))


def _repeated(rows: Indices, count: int, generator: np.random.Generator) -> Indices:
    """Return `count` of these rows, each as often as the others or once more."""
    whole, rest = divmod(count, len(rows))
    return np.concatenate([np.repeat(rows, whole), generator.choice(rows, rest, replace=False)])


def _entropy(classes: npt.NDArray[np.integer], of: int) -> float:
    counts = np.bincount(classes, minlength=of)
    shares = counts[counts > 0] / max(len(classes), 1)
    return float(-(shares * np.log(shares)).sum())
