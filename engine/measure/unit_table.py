"""What each unit costs in time, as a part of the whole: measured by leaving it out, isomorphic units together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, contains, signature
from engine.measure.feeds import Shapes
from engine.measure.latency import Samples, time_models
from engine.measure.statistics import paired_ratio
from engine.recipe import Deploy
from engine.report import Interval

NARROW_PART = 0.05
"""A kind's part of the latency is known well enough at +- 5 % of itself: a plan of several kinds is then within 3 %."""
NARROW_WHOLE = 0.003
"""So it is at +- 0.3 % of the whole, however small the part."""
NARROW_OUTER = 0.1
"""What only tells whether a kind's members are alike is known well enough at +- 10 % of itself."""
LITTLE = 0.01
"""What saves less than this part of the whole may go on not to be told from nothing."""
DOUBT_TIMES = 2
"""How many times the asked time may be taken where it is not clear whether something saves anything."""
ROUNDS_MAX = 2000
SESSIONS_BYTES_MAX = 2**30
BYTES_OF_A_SESSION = 3
"""How often ONNX Runtime holds a network's file: as it was read, as it was packed, and what it runs on."""
TOGETHER_MAX = 12
"""Networks that are timed in turn: with more of them, two that are compared lie further apart in time."""
UNLIKE = 0.15
"""Members of one kind are timed apart where the outer ones differ by more than this part from all, and surely."""
APART_MAX = 24
HALVES_MIN = 3

OUTER = " outer"

Saved = Mapping[str, Interval]


def latency_shares(
    model: Model, units: Sequence[Unit], deploy: Deploy, image_shapes: Shapes, *, seed: int, budget_seconds: float
) -> dict[str, Interval]:
    """Return each unit's part of the latency by name, with its interval, which may reach below zero.

    One unit is often lost in the noise: a machine at work gave -1 to +0.3 of the whole for the same one. Units of one
    signature do the same work, so all of a kind are left out at once and the difference is divided among them. The
    first and the last of a kind are left out alone, too: where they are surely not like the rest, as the runtime
    may fuse them with what stands beside them, each member gets a figure of its own. All figures are then scaled
    half-way to what mixed halves of the network save: the kinds of a transformer save 98 % of it one by one, its halves
    91 %, and most plans 95 % of their part. Timing ends as soon as all is sure enough for a choice.
    """
    kinds: dict[str, list[Unit]] = {}
    for unit in units:
        kinds.setdefault(signature(model, unit), []).append(unit)
    outers = {kind + OUTER: [members[0], members[-1]] for kind, members in kinds.items() if len(members) > 2}
    halves = _halves(kinds, units)
    timer = _Timer(model, deploy, image_shapes, seed)
    saved = timer.savings(kinds | outers | halves, budget_seconds * 0.7)
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


class _Timer:
    """Times what is left without some units in turn with the whole, as many networks at once as the memory holds."""

    def __init__(self, model: Model, deploy: Deploy, image_shapes: Shapes, seed: int) -> None:
        self._model, self._deploy, self._image_shapes, self._seed = model, deploy, image_shapes, seed

    def savings(self, without: Mapping[str, Sequence[Unit]], budget_seconds: float) -> dict[str, Interval]:
        """Return which part of the latency is saved without these units, by the name of each set."""
        found: dict[str, Interval] = {}
        for chunk in self._chunks(list(without)):
            cut = {name: merge(remove_units(self._model, without[name])) for name in chunk}
            seconds = budget_seconds * len(chunk) / len(without)
            samples = time_models(
                {"": self._model} | cut,
                self._deploy,
                self._image_shapes,
                seed=self._seed,
                budget_seconds=DOUBT_TIMES * seconds,
                rounds_max=ROUNDS_MAX,
                enough=self._enough_within(seconds),
            )
            found |= self._saved(samples)
        return found

    def _enough_within(self, seconds: float) -> Callable[[Mapping[str, Samples]], bool]:
        """Return what says that all is narrow; or that time is up, and it is clear which sets save anything."""
        end = time.monotonic() + seconds

        def enough(taken: Mapping[str, Samples]) -> bool:
            saved = self._saved(taken)
            is_clear = time.monotonic() > end and all(map(_is_clear, saved.values()))
            return is_clear or all(_is_narrow(*known) for known in saved.items())

        return enough

    def _chunks(self, names: Sequence[str]) -> Iterator[Sequence[str]]:
        room = SESSIONS_BYTES_MAX // (BYTES_OF_A_SESSION * len(self._model.to_bytes())) - 1
        together = int(min(max(room, 1), TOGETHER_MAX))
        together = math.ceil(len(names) / math.ceil(len(names) / together))
        for start in range(0, len(names), together):
            yield names[start : start + together]

    def _saved(self, samples: Mapping[str, Samples]) -> dict[str, Interval]:
        whole = samples[""]
        left = {name: paired_ratio(taken, whole, seed=self._seed) for name, taken in samples.items() if name}
        return {
            name: Interval(value=1 - ratio.value, low=1 - ratio.high, high=1 - ratio.low)
            for name, ratio in left.items()
        }


def _is_narrow(name: str, saved: Interval) -> bool:
    part = NARROW_OUTER if name.endswith(OUTER) else NARROW_PART
    return (saved.high - saved.low) / 2 <= max(part * saved.value, NARROW_WHOLE)


def _is_clear(saved: Interval) -> bool:
    return saved.low > 0 or saved.high < LITTLE


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
