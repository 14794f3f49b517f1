"""How long, how fast and in what portions a network is trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import onnx_ir as ir
import torch
from torch import Tensor

from engine.graph.model import Model
from engine.measure.batches import fixed_batch

ACTIVATION_BYTES_MAX = 2**30

TIMED_FROM, TIMED_TO = 2, 8
"""Which steps are timed to tell how many the time allows: the very first compile what the others run."""

PART_UNKNOWN = 0.1
"""The part of a schedule that the rate is for until that is told."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast. `optimiser` names one of OPTIMISERS, in whose measure the learning rate is."""

    optimiser: str = "muon"
    steps: int = 600
    batch: int = 64
    learning_rate: float = 3e-3
    warm_up: float = 0.1  # part of the schedule
    evaluate_every: int = 25
    patience: int = 6  # evaluations without a better one since the rate began to fall
    until: int | None = None  # the step to stop at, where folds of the images have told it; the rate falls as it would
    shrinks: float = 2 / 3  # the power of the part of the steps, where only that is taken, by which the rate is smaller

    def rate(self, done: float, part: float = 1.0) -> float:
        """Return the learning rate, which rises to its peak and falls along a cosine; `done` is 0 to 1.

        `part`, 0 to 1, is how much of the schedule the time allows: what is lost in a quarter of the steps at the whole
        rate, the rest of them would have won back. 600 of 600 steps peak at 0.003, 150 of them at 0.0012.
        """
        peak = self.learning_rate * math.pow(part, self.shrinks)
        if done < self.warm_up:
            return peak * (0.1 + 0.9 * done / self.warm_up)
        along = (done - self.warm_up) / (1 - self.warm_up)
        return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * along)) / 2)


GROUPED = Schedule("adamw", steps=1200, batch=16, learning_rate=3e-5, evaluate_every=50, shrinks=0)


def schedule_for(model: Model) -> Schedule:
    """Return the schedule for a network: small steps, in small batches, where it has grouped convolutions.

    Their channels have a few weights each, of very different size, which no rate of Muon's was seen to teach.
    """
    return GROUPED if any(_is_grouped(node) for node in model.graph) else Schedule()


def _is_grouped(node: ir.Node) -> bool:
    return "group" in node.attributes and node.attributes["group"].as_int() > 1


class Pace:
    """How much of a schedule is done: by steps, and by the clock only where that is behind.

    So the weights depend on the clock only on a machine that is too slow for the schedule.
    """

    def __init__(
        self,
        schedule: Schedule,
        seconds: float,
        part: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin now; `part` is what an earlier attempt was told of the same training."""
        self.told_part = part
        self._schedule, self._seconds, self._clock = schedule, seconds, clock
        self._started = self._asked = clock()
        self._longest = 0.0
        self._first_asked: list[float] = []

    def has_time(self) -> bool:
        """Tell whether another step ends in time if it takes as long as the longest so far; ask before each."""
        now = self._clock()
        if self._asked != self._started:
            self._longest = max(self._longest, now - self._asked)
        self._asked = now
        if len(self._first_asked) <= TIMED_TO:
            self._first_asked.append(now)
        return now - self._started + self._longest < self._seconds

    def done(self, step: int) -> float:
        """Return the part that is done, 0 to 1."""
        planned = step / self._schedule.steps
        spent = min((self._clock() - self._started) / self._seconds, 1.0) if self._seconds > 0 else 1.0
        return spent if spent > planned + 1 / self._schedule.evaluate_every else planned

    def part(self, step: int) -> float:
        """Return the part of the schedule's steps that the time allows, above 0 to 1: told once, after a few steps.

        An attempt that goes on from another without knowing it takes all steps to fit until it has timed its own.
        """
        if self.told_part is None and len(self._first_asked) > TIMED_TO:
            a_step = (self._first_asked[TIMED_TO] - self._first_asked[TIMED_FROM]) / (TIMED_TO - TIMED_FROM)
            left = max(self._seconds - (self._clock() - self._started), 0.0)
            self.told_part = min((step + left / max(a_step, 1e-9)) / self._schedule.steps, 1.0)
        if step < TIMED_TO:
            return PART_UNKNOWN
        return 1.0 if self.told_part is None else self.told_part

    def left(self, step: int) -> float:
        """Return the seconds until the steps or the time end, if each step takes as long as those so far."""
        spent = self._clock() - self._started
        return max(min(self._schedule.steps / max(step, 1) * spent, self._seconds) - spent, 0.0)


def portion(model: Model, batch: int) -> int:
    """Return how many images go through the network at once: its own fixed batch, else what the memory holds.

    A step's batch may be several portions, whose gradients add up.
    """
    return fixed_batch(model) or max(1, min(batch, ACTIVATION_BYTES_MAX // max(_activation_bytes(model), 1)))


def _activation_bytes(model: Model) -> int:
    """Return what the values of one image take, for the way forward; sizes that are not known count as one."""
    total = 0
    for node in model.graph:
        for value in node.outputs:
            sizes = [] if value.shape is None else [size for size in value.shape[1:] if isinstance(size, int)]
            total += 4 * math.prod(sizes)
    return total


def rows(count: int, batch: int, multiple: int, seed: int) -> Iterator[Tensor]:
    """Yield the rows of each step without end, each row once a round; what is left of a round is dropped.

    A step has `batch` rows, or as many as there are, in whole portions of `multiple`; too few rows come repeatedly.
    """
    generator = torch.Generator().manual_seed(seed)
    size = max(multiple, min(batch, count) // multiple * multiple)
    while True:
        order = torch.cat([torch.randperm(count, generator=generator) for _ in range(math.ceil(size / count))])
        yield from (order[start : start + size] for start in range(0, len(order) - size + 1, size))
