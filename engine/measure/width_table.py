"""What narrower groups save in time, as a part of the whole: isomorphic groups together, at two widths each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.graph.cuts import Narrowing
from engine.graph.model import Model
from engine.measure.feeds import Shapes
from engine.measure.savings import SavingsTimer
from engine.recipe import Deploy
from engine.report import Interval


def width_shares(
    model: Model,
    kinds: Mapping[str, Sequence[Sequence[Narrowing]]],
    deploy: Deploy,
    image_shapes: Shapes,
    *,
    seed: int,
    budget_seconds: float,
) -> dict[str, Interval]:
    """Return the part of the latency that each narrowing saves, by name, with its interval.

    `kinds`: for each kind of isomorphic groups its members' narrowings, the widest first, as many for each. All members
    are narrowed at once, to the middle one and to the narrowest, and the difference is divided among them; what lies
    between is drawn as straight lines, from nothing gone. Which channels are meant is of no matter to the clock.
    """
    sets = {
        f"{kind} {at}": [member[at] for member in members] for kind, members in kinds.items() for at in _timed(members)
    }
    saved = SavingsTimer(model, deploy, image_shapes, seed).savings(sets, budget_seconds)
    shares: dict[str, Interval] = {}
    for kind, members in kinds.items():
        known = [(members[0][at], saved[f"{kind} {at}"]) for at in _timed(members)]
        for member in members:
            shares |= {one.name: _between(known, one, len(members)) for one in member}
    return shares


def _timed(members: Sequence[Sequence[Narrowing]]) -> list[int]:
    """Return which of a member's narrowings are timed: the middle one and the last."""
    last = len(members[0]) - 1
    return sorted({last // 2, last})


def _between(known: Sequence[tuple[Narrowing, Interval]], one: Narrowing, members: int) -> Interval:
    gone = [0, *(len(timed.channels) for timed, _ in known)]

    def at(ends: Sequence[float]) -> float:
        return float(np.interp(len(one.channels), gone, [0.0, *ends])) / members

    savings = [saving for _, saving in known]
    return Interval(
        value=at([saving.value for saving in savings]),
        low=at([saving.low for saving in savings]),
        high=at([saving.high for saving in savings]),
    )
