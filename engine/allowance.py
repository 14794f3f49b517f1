"""What a job's budget allows of the usual work: a share of the budget and not of the clock, so it is the same again."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from engine.graph.model import Model
from engine.measure.cost import count
from engine.measure.feeds import Shapes

AMPLE_SECONDS = 600.0
"""Of a short budget, the part of these is the part of the usual work that it allows."""
MACS_A_SECOND = 8e9
"""Of a budget: work that judging may take, about a tenth of what two cores do."""
PASSES_MIN = 300
"""A budget whose share is less than so many passes of the network is short: some 150 s for ResNet-50."""


@dataclass(frozen=True)
class Allowance:
    """Whether a budget `is_short` for its network (below `short_seconds`) and what `part` of the usual work it allows.

    `seconds` of it are for the cutting. In a short one what only compares is asked of fewer, and the layers at cuts
    alone are repaired.
    """

    part: float = 1.0  # above 0
    is_short: bool = False
    short_seconds: float = 0.0
    seconds: float = AMPLE_SECONDS

    @property
    def share(self) -> float:
        """Return which part of an ample budget this one is, above 0 to 1, be it short for its network or not."""
        return min(1.0, self.seconds / AMPLE_SECONDS)


AMPLE = Allowance()


def allowance(model: Model, image_shapes: Shapes, budget_seconds: float, share: float = 1.0) -> Allowance:
    """Return what a budget in seconds allows for a network, of which `share`, above 0 to 1, is left for the cutting."""
    short_seconds = PASSES_MIN * count(model, image_shapes).macs / MACS_A_SECOND / share
    is_short = budget_seconds < short_seconds
    allowed = Allowance(1.0, is_short, short_seconds, share * budget_seconds)
    return dataclasses.replace(allowed, part=allowed.share) if is_short else allowed
