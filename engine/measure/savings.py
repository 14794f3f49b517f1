"""What sets of cuts save in time, as a part of the whole: networks without them timed in turn with the whole one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.graph.cuts import Cut, remove
from engine.graph.merges import merge
from engine.graph.model import Model
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
BYTES_OF_A_SESSION = 1.5
"""How often ONNX Runtime holds a large network's file: as it packs the weights, and what it runs on."""
TOGETHER_MAX = 12
"""Networks that are timed in turn: with more of them, two that are compared lie further apart in time."""

OUTER = " outer"
"""What the name of a set ends in that only tells whether the members of a kind are alike."""

Saved = Mapping[str, Interval]


class SavingsTimer:
    """Times what is left without some cuts in turn with the whole, as many networks at once as the memory holds."""

    def __init__(self, model: Model, deploy: Deploy, image_shapes: Shapes, seed: int) -> None:
        self._model, self._deploy, self._image_shapes, self._seed = model, deploy, image_shapes, seed

    def savings(self, without: Mapping[str, Sequence[Cut]], budget_seconds: float) -> dict[str, Interval]:
        """Return which part of the latency is saved without these cuts, by the name of each set."""
        found: dict[str, Interval] = {}
        for chunk in self._chunks(list(without)):
            cut = {name: merge(remove(self._model, without[name])) for name in chunk}
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
        room = SESSIONS_BYTES_MAX / (BYTES_OF_A_SESSION * len(self._model.to_bytes())) - 1
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
