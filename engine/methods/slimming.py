"""Slimming: the channels that their batch norm scales least go first.

Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017. arXiv:1708.06519
The paper trains all scales towards zero and cuts below one percentile of the whole network. Here scales order the
channels of a group, and each group's harm is measured: an upload that was not trained so has no such percentile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.graph.channels.scales import group_scales
from engine.pricing.method import Method, Rank
from engine.pricing.study import Study

Array = npt.NDArray[np.float64]

TINY = 1e-6
"""Scales below are as good as zero, and are told apart no further."""
BINS = 64
APART = 10.0
"""How many times larger the scales of one heap are than those of another, in their medians."""
BETWEEN = 0.25
"""In the middle third of the way between two heaps there is at most this part of the smaller one."""
TRAINED_PART = 0.1
"""Of all scales; ordinary training with weight decay leaves 2 to 3 % near zero, training for sparsity far more."""


@dataclass(frozen=True)
class Heaps:
    """Scales in two heaps: how many of how many lie in the lower one, and both medians."""

    low_count: int
    count: int
    low_median: float
    high_median: float

    @property
    def low_part(self) -> float:
        return self.low_count / self.count


def order(scales: Array) -> list[int]:
    """Return all channels in the order in which they go: least scale first."""
    return [int(channel) for channel in np.argsort(scales, kind="stable")]


def heaps(scales: Iterable[Array]) -> Heaps | None:
    """Return the two heaps that all scales of a network lie in, None where they lie in one.

    They are parted where that leaves the least variance of their logarithms within; two heaps are two only where their
    medians are far apart and hardly anything is in the middle.
    Otsu, "A threshold selection method from gray-level histograms", 1979.
    """
    logs = np.log10(np.maximum(np.concatenate(list(scales)), TINY))
    at = _threshold(logs)
    low, high = logs[logs < at], logs[logs >= at]
    if not len(low) or not len(high):
        return None
    below, above = float(np.median(low)), float(np.median(high))
    third = (above - below) / 3
    between = int(((logs > below + third) & (logs < above - third)).sum())
    if above - below < np.log10(APART) or between > BETWEEN * min(len(low), len(high)):
        return None
    return Heaps(len(low), len(logs), 10**below, 10**above)


def note(found: Heaps | None) -> str:
    """Say what the heaps mean for a cut."""
    if found is None:
        return (
            "The scales of the network's batch norms lie in one heap: it was not trained for sparsity, and its "
            "smallest scales say little about what it can do without. Slimming is made for networks that were."
        )
    where = (
        f"{found.low_count} of {found.count} batch norm scales ({100 * found.low_part:.0f} %) lie in a heap of their "
        f"own near {found.low_median:.1g}, the others near {found.high_median:.1g}"
    )
    if found.low_part < TRAINED_PART:
        return f"{where}: so few are left by ordinary training, too. Those channels go for next to nothing."
    return f"{where}: the network was trained for sparsity, and those channels go for next to nothing."


def _threshold(logs: Array) -> float:
    counts, edges = np.histogram(logs, bins=BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * centres)[:-1]
    above, total = counts.sum() - below, float((counts * centres).sum())
    apart = sums / np.maximum(below, 1) - (total - sums) / np.maximum(above, 1)
    best = np.flatnonzero(np.isclose(spread := below * above * apart**2, spread.max()))
    return float(edges[1:-1][best[len(best) // 2]])  # anywhere in a gap is as good: the middle of it


def _ranking(study: Study) -> Rank:
    scales = _scales(study)
    return lambda of_group: order(scales[of_group.group.name])


def _notes(study: Study) -> tuple[str, ...]:
    return (note(heaps(_scales(study).values())),)


def _scales(study: Study) -> dict[str, Array]:
    assert study.subject is not None
    return group_scales(study.subject.plain)


METHOD = Method(ranking=_ranking, notes=_notes)
