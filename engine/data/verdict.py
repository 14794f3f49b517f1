"""May these made images stand in for real ones? Figures with bounds, found without a label."""

from __future__ import annotations

import numpy as np

from engine.data.site import Floats, Said
from engine.report import CheckFigure

CONFIDENCE = (0.5, 0.99)
"""Mean highest probability: below, the images say nothing to the network; above, they shout."""
COVERAGE_LEAST = 0.6
"""Classes that some image is taken for, as a part of those that there could be."""
DEAD_MOST = 0.1
"""Part of the features that are the same for all images."""
RANK_LEAST = 0.5
"""Effective rank of the features, as a part of that of as many real images."""
RANK_ALONE_LEAST = 0.1
"""The same where no real image is at hand, as a part of what the features' number allows."""
SPLIT_HALF_MOST = 1.5
REAL_LEAST = 8


def check(made: Said, real: Said | None = None) -> tuple[CheckFigure, ...]:
    """Return the figures that apply: those of classes only where the network scores some.

    `real` are the answers to the user's own images, if there are enough of them to compare with.
    """
    classes = [] if made.probabilities is None else [_confidence(made.probabilities), _coverage(made.probabilities)]
    return (*classes, _dead(made.features), _rank(made.features, real), _split_half(made.features))


def _confidence(probabilities: Floats) -> CheckFigure:
    return _figure("mean confidence", float(probabilities.max(axis=1).mean()), *CONFIDENCE)


def _coverage(probabilities: Floats) -> CheckFigure:
    count, classes = probabilities.shape
    found = len(np.unique(probabilities.argmax(axis=1)))
    return _figure("class coverage", found / min(count, classes), COVERAGE_LEAST, None)


def _dead(features: Floats) -> CheckFigure:
    spread = features.std(axis=0)
    return _figure("dead channels", float((spread <= 1e-6 * max(spread.max(), 1e-30)).mean()), None, DEAD_MOST)


def _rank(features: Floats, real: Said | None) -> CheckFigure:
    if real is None or len(real.features) < REAL_LEAST:
        possible = min(len(features) - 1, features.shape[1])
        return _figure("effective rank", effective_rank(features) / max(possible, 1), RANK_ALONE_LEAST, None)
    count = min(len(features), len(real.features))
    part = effective_rank(features[_evenly(len(features), count)]) / effective_rank(real.features[:count])
    return _figure("effective rank against real images", part, RANK_LEAST, None)


def effective_rank(features: Floats) -> float:
    """Return in how many directions (count, width) features vary: the exponential of their spectrum's entropy, >= 1.

    Roy and Vetterli, "The effective rank", EUSIPCO 2007.
    """
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)
    shares = values[values > 0] / max(values.sum(), 1e-30)
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _split_half(features: Floats) -> CheckFigure:
    """Compare how much of either half lies outside the directions in which the first one varies most.

    It stands in for a network that is tuned on one half and judged on the other, which would take too long.
    """
    first, second = features[::2], features[1::2]
    centred = first - first.mean(axis=0)
    # Far fewer than images: more would fit the first half by heart, real photographs too.
    kept = max(1, int(min(effective_rank(first), len(first) / 4) / 4))
    directions = np.linalg.svd(centred, full_matrices=False)[2][:kept]
    own, other = (_outside(half - first.mean(axis=0), directions) for half in (first, second))
    return _figure("split-half error", other / own if own > 1e-9 else 1.0, None, SPLIT_HALF_MOST)


def _outside(centred: Floats, directions: Floats) -> float:
    inside = np.square(centred @ directions.T).sum()
    power = np.square(centred).sum()
    return float((power - inside) / max(power, 1e-30))


def _evenly(total: int, count: int) -> np.typing.NDArray[np.intp]:
    return np.linspace(0, total - 1, count).astype(np.intp)


def _figure(name: str, value: float, low: float | None, high: float | None) -> CheckFigure:
    passed = (low is None or value >= low) and (high is None or value <= high)
    return CheckFigure(name=name, value=round(value, 4), low=low, high=high, passed=passed)
