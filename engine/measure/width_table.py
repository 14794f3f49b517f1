"""What narrower groups save in time, as a part of the whole: isomorphic groups together, at two widths each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from engine.graph.cuts import Narrowing, remove
from engine.graph.model import Model
from engine.measure.cost import count
from engine.measure.feeds import Shapes
from engine.measure.savings import SavingsTimer
from engine.recipe import Deploy
from engine.report import Interval

EXPECTED = 0.4
"""By how much, as a standard deviation, a kind's saving lies off its part of the multiply-accumulates that go."""
SIGMAS = 1.96  # of a 95 % interval

Kinds = Mapping[str, Sequence[Sequence[Narrowing]]]


def width_shares(
    model: Model,
    kinds: Kinds,
    deploy: Deploy,
    image_shapes: Shapes,
    *,
    seed: int,
    budget_seconds: float,
    quickly: bool = False,
) -> dict[str, Interval]:
    """Return the part of the latency that each narrowing saves, by name, with its interval.

    `kinds`: for each kind of isomorphic groups its members' narrowings, the widest first, as many for each. All members
    are narrowed at once, to the middle one and to the narrowest, and the difference is divided among them; what lies
    between is drawn as straight lines, from nothing gone. One kind is often lost in the noise where all of them
    together are not: each is expected to save its part, by multiply-accumulates, of what all save, and what was
    measured of it counts by how surely it was. Which channels are meant is of no matter to the clock. `quickly` times
    all of them together alone.
    """
    sets = {
        f"{kind} {at}": [member[at] for member in members] for kind, members in kinds.items() for at in _timed(members)
    }
    together = {
        at: [cut for kind, members in kinds.items() for cut in sets[f"{kind} {_timed(members)[at]}"]] for at in (0, -1)
    }
    timer = SavingsTimer(model, deploy, image_shapes, seed)
    all_of = {f"all {at}": cuts for at, cuts in together.items()}
    saved = timer.savings(all_of if quickly else {**sets, **all_of}, budget_seconds)
    gone = _macs_gone(model, {**sets, **all_of}, image_shapes)
    pace = {at: _pace(gone[f"all {at}"], saved[f"all {at}"]) for at in together}
    shares: dict[str, Interval] = {}
    for kind, members in kinds.items():
        ends = {_timed(members)[at]: pace[at] for at in (0, -1)}
        likely = [
            (members[0][at], _both(pace_at * gone[f"{kind} {at}"], saved.get(f"{kind} {at}")))
            for at, pace_at in sorted(ends.items())
        ]
        for member in members:
            shares |= {one.name: _between(likely, one, len(members)) for one in member}
    return shares


def _timed(members: Sequence[Sequence[Narrowing]]) -> list[int]:
    """Return which of a member's narrowings are timed: the middle one and the last."""
    last = len(members[0]) - 1
    return sorted({last // 2, last})


def _pace(gone: float, saved: Interval) -> float:
    """Return the part of the latency that goes with each part of the multiply-accumulates, at least a tenth of it."""
    return max(saved.value / gone, 0.1) if gone > 0 else 1.0


def _macs_gone(model: Model, sets: Mapping[str, Sequence[Narrowing]], image_shapes: Shapes) -> dict[str, float]:
    """Return the part of the multiply-accumulates that goes with each set, by its name."""
    whole = count(model, image_shapes).macs
    left = {name: count(remove(model, cuts), image_shapes).macs for name, cuts in sets.items()}
    return {name: 1 - macs / whole if whole else 0.0 for name, macs in left.items()}


def _both(expected: float, measured: Interval | None) -> Interval:
    """Return what is likeliest given both, each weighed by how sure it is."""
    off = EXPECTED * expected + 1e-6
    if measured is None:
        return Interval(value=expected, low=expected - SIGMAS * off, high=expected + SIGMAS * off)
    unsure = (measured.high - measured.low) / (2 * SIGMAS) + 1e-6
    value = (expected / off**2 + measured.value / unsure**2) / (1 / off**2 + 1 / unsure**2)
    sigma = 1 / math.sqrt(1 / off**2 + 1 / unsure**2)
    return Interval(value=value, low=value - SIGMAS * sigma, high=value + SIGMAS * sigma)


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
