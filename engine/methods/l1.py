"""L1: the filters with the least weight go first.

Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017. arXiv:1608.08710
The paper leaves out the layers that turned out sensitive by hand; here each group's harm is measured instead.
"""

from __future__ import annotations

import numpy as np

from engine.pricing.method import Method
from engine.pricing.sums import GroupStudy


def rank(study: GroupStudy) -> list[int]:
    """Return all channels in the order in which they go: by the sum of the absolute weights that write them."""
    return [int(channel) for channel in np.argsort(np.abs(study.written).sum(axis=1), kind="stable")]


METHOD = Method(ranking=lambda study: rank)
