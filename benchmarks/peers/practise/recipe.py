"""The published recipe: score each block alone, rank once, leave out what the latency asks for, train the rest."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from benchmarks.networks.network import Droppable, Network
from benchmarks.peers.practise.adapters import absorb_adapters, insert_adapters, without
from benchmarks.peers.practise.mimicry import PUBLISHED, Images, mimic, remaining_error
from benchmarks.peers.practise.speed import Speed, exported
from engine.graph.model import Model
from engine.report import Interval

PUBLISHED_STEPS = 2000


@dataclass
class Seconds:
    """What a stage took, by the clock on the wall and of the processor."""

    wall: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True)
class BlockScore:
    """`recoverability` is the error that is left with trained adapters, the smaller the better.

    `latency_share` is what leaving the block out saves, in per cent.
    """

    block: str
    recoverability: float
    latency_share: float

    @property
    def score(self) -> float:
        """Return the published quotient: 0.2 left for 4 % of the time is 0.05, and the smallest goes first.

        A block whose measured share is negative goes before all others, as published; one of no share goes last.
        """
        return self.recoverability / self.latency_share if self.latency_share else math.inf


@dataclass(frozen=True)
class Scores:
    """All blocks, best first. Timing the blocks is no part of `seconds`."""

    ranking: tuple[BlockScore, ...]
    steps: int
    seconds: Seconds

    @property
    def notes(self) -> tuple[str, ...]:
        """Name the blocks that go first because of noise."""
        return tuple(
            f"{each.block}: its measured latency share is {each.latency_share:.2f} %, so it goes first, as published"
            for each in self.ranking
            if each.latency_share < 0
        )


@dataclass(frozen=True)
class Tuned:
    """A network without the first blocks of the ranking. `ratio` is measured; all are gone if it is above the asked."""

    blocks: tuple[str, ...]
    ratio: Interval
    model: Model = field(repr=False)
    steps: int
    seconds: Seconds


def score_blocks(teacher: Network, images: Images, speed: Speed, *, steps: int, seed: int) -> Scores:
    """Score every block that may be dropped. The teacher must be in evaluation mode."""
    shares = {each.block: 100 * (1 - speed.ratio([each.block]).value) for each in teacher.droppables()}
    seconds = Seconds()
    found = []
    with _seeded(seed):
        for droppable in teacher.droppables():
            with _timed(seconds):
                left = recoverability(teacher, droppable, images, steps)
            found.append(BlockScore(droppable.block, left, shares[droppable.block]))
    return Scores(tuple(sorted(found, key=lambda each: each.score)), steps, seconds)


def recoverability(teacher: Network, droppable: Droppable, images: Images, steps: int) -> float:
    """Return the error without a block after its neighbours' adapters were trained, everything else being frozen."""
    student = without(teacher, [droppable.block]).eval().requires_grad_(False)
    adapters = insert_adapters(student, droppable)
    mimic(teacher, student, adapters, images, steps, PUBLISHED)
    absorb_adapters(student, droppable)
    return remaining_error(teacher, student, images)


def choose(ranking: Sequence[BlockScore], speed: Speed, latency_ratio: float) -> tuple[tuple[str, ...], Interval]:
    """Return the fewest blocks, from the front, without which the measured ratio is at or below the asked; else all.

    Looks first where the shares of single blocks add up to what is asked.
    """
    blocks = tuple(each.block for each in ranking)
    saved = list(itertools.accumulate(each.latency_share / 100 for each in ranking))
    count = next((k for k, share in enumerate(saved, 1) if share >= 1 - latency_ratio), len(blocks))
    while count > 1 and speed.ratio(blocks[: count - 1]).value <= latency_ratio:
        count -= 1
    while count < len(blocks) and speed.ratio(blocks[:count]).value > latency_ratio:
        count += 1
    return blocks[:count], speed.ratio(blocks[:count])


def tune(teacher: Network, blocks: tuple[str, ...], images: Images, speed: Speed, *, steps: int, seed: int) -> Tuned:
    """Leave out the blocks and train all weights, from the teacher's; batch norm uses and updates batch statistics."""
    seconds = Seconds()
    student = without(teacher, blocks).train()
    with _seeded(seed), _timed(seconds):
        mimic(teacher, student, student.parameters(), images, steps, PUBLISHED)
    return Tuned(blocks, speed.ratio(blocks), exported(student, images.side), steps, seconds)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def _timed(seconds: Seconds) -> Iterator[None]:
    wall, cpu = time.monotonic(), time.process_time()
    yield
    seconds.wall += time.monotonic() - wall
    seconds.cpu += time.process_time() - cpu
