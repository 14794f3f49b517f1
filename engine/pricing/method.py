"""What a method is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.pricing.study import Study
from engine.pricing.sums import GroupStudy
from engine.progress import Tell

Rank = Callable[[GroupStudy], Sequence[int]]
"""All channels of a group in the order in which they go."""


@dataclass(frozen=True)
class Method:
    """`harm` weighs the loss of each whole unit, after repair; `ranking` tells from the study how to rank channels.

    None of the one or the other: the method lets none go. `notes` tell what the method found out about the network.
    """

    harm: Callable[[Study, Tell], dict[str, float]] | None = None
    ranking: Callable[[Study], Rank] | None = None
    notes: Callable[[Study], tuple[str, ...]] | None = None
