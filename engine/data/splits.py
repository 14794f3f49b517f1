"""Who sees which image: repair learns, selection says when to stop, test is seen by nobody before the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.data.images import ImageSet
from engine.data.sampling import sample_evenly

SELECTION_FRACTION = 0.1
SELECTION_MAX = 200
TEST_FRACTION = 0.1


@dataclass(frozen=True)
class Split:
    repair: ImageSet
    selection: ImageSet
    test: ImageSet


def split(images: ImageSet, seed: int) -> Split:
    """Divide into three disjoint sets, each class in proportion: 500 images become 400, 50 and 50.

    Repair gets most, because what it cannot see it cannot mend. A tenth is enough to stop by: the feature error of one
    image averages thousands of values, and it is computed often, hence the cap. Another tenth is the smallest test that
    still says something: 50 images give an agreement within about 8 points, 5 tell only of a disaster, and the interval
    shows which. One image repairs; the second tests; the third selects.
    """
    generator = np.random.default_rng(seed)
    test_count, selection_count = _held_out_counts(len(images))
    everything = np.arange(len(images))
    test = sample_evenly(images.labels, len(images), test_count, generator)
    rest = np.setdiff1d(everything, test)
    rest_labels = None if images.labels is None else images.labels[rest]
    selection = rest[sample_evenly(rest_labels, len(rest), selection_count, generator)]
    repair = np.setdiff1d(rest, selection)
    return Split(images.take(repair), images.take(selection), images.take(test))


def _held_out_counts(count: int) -> tuple[int, int]:
    """Return how many images test and selection get out of `count`."""
    test = max(round(count * TEST_FRACTION), int(count >= 2))
    selection = max(min(round(count * SELECTION_FRACTION), SELECTION_MAX), int(count >= 3))
    return test, selection
