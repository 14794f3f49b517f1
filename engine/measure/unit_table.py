"""What each unit costs in time, as a part of the whole: measured by leaving it out, isomorphic units together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.graph.model import Model
from engine.graph.units import Unit, contains, signature
from engine.measure.feeds import Shapes
from engine.measure.savings import OUTER, Saved, SavingsTimer
from engine.recipe import Deploy
from engine.report import Interval

UNLIKE = 0.15
"""Members of one kind are timed apart where the outer ones differ by more than this part from all, and surely."""
APART_MAX = 24
HALVES_MIN = 3


def latency_shares(
    model: Model,
    units: Sequence[Unit],
    deploy: Deploy,
    image_shapes: Shapes,
    *,
    seed: int,
    budget_seconds: float,
    quickly: bool = False,
) -> dict[str, Interval]:
    """Return each unit's part of the latency by name, with its interval, which may reach below zero.

    One unit is often lost in the noise: a machine at work gave -1 to +0.3 of the whole for the same one. Units of one
    signature do the same work, so all of a kind are left out at once and the difference is divided among them. The
    first and the last of a kind are left out alone, too: where they are surely not like the rest, as the runtime
    may fuse them with what stands beside them, each member gets a figure of its own. All figures are then scaled
    half-way to what mixed halves of the network save: the kinds of a transformer save 98 % of it one by one, its halves
    91 %, and most plans 95 % of their part. Timing ends as soon as all is sure enough for a choice. `quickly` opens no
    networks but those without a whole kind.
    """
    kinds: dict[str, list[Unit]] = {}
    for unit in units:
        kinds.setdefault(signature(model, unit), []).append(unit)
    outers = {} if quickly else {kind + OUTER: [of[0], of[-1]] for kind, of in kinds.items() if len(of) > 2}
    halves = {} if quickly else _halves(kinds, units)
    timer = SavingsTimer(model, deploy, image_shapes, seed)
    saved = timer.savings({**kinds, **outers, **halves}, budget_seconds * 0.7)
    unlike = [kind for kind in kinds if kind + OUTER in saved and _differ(saved, kind, len(kinds[kind]))]
    apart = {unit.name: [unit] for kind in unlike for unit in kinds[kind][:APART_MAX]}
    singles = timer.savings(apart, budget_seconds * 0.3) if apart else {}
    shares: dict[str, Interval] = {}
    for kind, members in kinds.items():
        whole = saved[kind]
        if kind in unlike and len(members) <= APART_MAX:
            shares |= _balanced({unit.name: singles[unit.name] for unit in members}, whole)
        else:
            shares |= {unit.name: _times(whole, 1 / len(members)) for unit in members}
    scale = _scale(shares, {name: saved[name] for name in halves}, halves)
    return {name: _times(share, scale) for name, share in shares.items()}


def _halves(kinds: Mapping[str, Sequence[Unit]], units: Sequence[Unit]) -> dict[str, Sequence[Unit]]:
    """Return every other unit of each kind, and the others, of those inside of no other; none where they are few."""
    outermost = [
        [unit for unit in members if not any(contains(outer, unit) for outer in units)] for members in kinds.values()
    ]
    if sum(map(len, outermost)) <= HALVES_MIN:
        return {}
    first = [unit for turn, members in enumerate(outermost) for unit in members[turn % 2 :: 2]]
    return {
        "first half": first,
        "second half": [unit for members in outermost for unit in members if unit not in first],
    }


def _differ(saved: Saved, kind: str, count: int) -> bool:
    """Say whether the outer two of a kind surely save another part than any two of it."""
    whole, outer = _times(saved[kind], 2 / count), saved[kind + OUTER]
    apart = outer.low > whole.high or outer.high < whole.low
    return apart and abs(outer.value - whole.value) > UNLIKE * abs(whole.value)


def _scale(shares: Saved, saved: Saved, halves: Mapping[str, Sequence[Unit]]) -> float:
    """Return how many times what the shares add up to is saved in truth; 1 where that makes no sense.

    Kind by kind is one way to lose all units, half by half another; plans lie between the two.
    """
    by_kind = sum(shares[unit.name].value for half in halves.values() for unit in half)
    by_half = sum(half.value for half in saved.values())
    return (1 + by_half / by_kind) / 2 if by_kind > 0 and 0.5 < by_half / by_kind < 2 else 1.0


def _balanced(singles: Saved, whole: Interval) -> dict[str, Interval]:
    """Return the members' figures, moved alike so that they add up to what all of them save together."""
    missing = (whole.value - sum(single.value for single in singles.values())) / len(singles)
    return {
        name: Interval(value=single.value + missing, low=single.low + missing, high=single.high + missing)
        for name, single in singles.items()
    }


def _times(interval: Interval, factor: float) -> Interval:
    return Interval(value=interval.value * factor, low=interval.low * factor, high=interval.high * factor)
