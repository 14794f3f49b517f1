"""What is run: networks, kinds, and what each kind is made of, in the order in which they are worth having."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from benchmarks.channels.shapes import STRUCTURES
from benchmarks.trained.sources import NETWORKS
from engine.recipe import METHODS

KINDS = {
    "methods": "a job of each method as a user would send it, and its cuts without repair and without training",
    "peers": "another tool, cut until it measures as our own choice does, then the same distillation",
    "widths": "what `auto` chose, and one group of it wider by one step of the grid, timed in turn",
    "structure": "ours and each peer on exports with random weights: what the clock gains, nothing of accuracy",
    "size": "a network of ResNet-50's size, with images and without: seconds and memory",
    "scratch": "what `auto` chose, trained from random weights with labels",
}
PEERS = ("onnxsim", "torch-pruning-l1", "torch-pruning-group")
OURS = "auto"
"""The method that peers, widths and controls are held against."""

SIZED = "torchvision-resnet50"
SIZED_IMAGES = {500: 570.0, 0: 57.0}
"""Number of images -> budget in seconds, a twentieth below what must be shown."""
LABELLED_IMAGES = 2000


@dataclass(frozen=True)
class Case:
    """One job and its judgement; `what` is a method of ours or a peer. `budget_seconds` are wall-clock."""

    model: str
    kind: str
    what: str
    images: int
    latency_ratio: float
    seed: int
    batch: int
    threads: int
    cores: int
    budget_seconds: float


@dataclass(frozen=True)
class Grid:
    """What was asked for on the command line."""

    models: Sequence[str]
    kinds: Sequence[str]
    methods: Sequence[str]
    seeds: Sequence[int]
    ratio: float = 0.67
    images: int = 128
    batch: int = 8
    threads: int = 1
    cores: int = 2
    budget_seconds: float | None = None

    def case(self, model: str, kind: str, what: str, seed: int) -> Case:
        """Return a case on one of the trained networks, within its own budget unless told."""
        budget = self.budget_seconds or NETWORKS[model].budget_seconds
        return self._case(model, kind, what, self.images, seed, self.batch, budget)

    def structure(self, model: str, what: str, seed: int) -> Case:
        """Return a case on an export of fixed batch, with random weights."""
        return self._case(model, "structure", what, 0, seed, 1, self.budget_seconds or STRUCTURES[model].budget_seconds)

    def sized(self, images: int, seed: int) -> Case:
        budget = self.budget_seconds or SIZED_IMAGES[images]
        return self._case(SIZED, "size", OURS, images, seed, 1, budget)

    def _case(self, model: str, kind: str, what: str, images: int, seed: int, batch: int, budget: float) -> Case:
        return Case(model, kind, what, images, self.ratio, seed, batch, self.threads, self.cores, budget)


def cases(grid: Grid) -> list[Case]:
    """Return what to run: seed by seed, so that a run that is stopped leaves whole tables of fewer seeds."""
    wanted = [case for seed in grid.seeds for case in _of_one_seed(grid, seed)]
    return list(dict.fromkeys(_with_parents(wanted)))


def parent(case: Case) -> Case | None:
    """Return the job that a case starts from: whose time, cuts or table of times it gets."""
    match case.kind:
        case "peers" | "widths":
            return replace(case, kind="methods", what=OURS)
    return None


def _of_one_seed(grid: Grid, seed: int) -> Iterator[Case]:
    chosen = [method for method in METHODS if method in grid.methods]
    if "methods" in grid.kinds:
        yield from (grid.case(model, "methods", method, seed) for model, method in product(grid.models, chosen))
    if "peers" in grid.kinds:
        yield from (grid.case(model, "peers", peer, seed) for model, peer in product(grid.models, PEERS))
    if "widths" in grid.kinds:
        yield from (grid.case(model, "widths", OURS, seed) for model in grid.models)
    if seed == grid.seeds[0]:
        yield from _once(grid, seed)


def _once(grid: Grid, seed: int) -> Iterator[Case]:
    """Yield what is asked of one seed alone: time of structures, memory, and trainings from scratch."""
    if "structure" in grid.kinds:
        yield from (grid.structure(model, what, seed) for model, what in product(STRUCTURES, (OURS, *PEERS[:2])))
    if "size" in grid.kinds:
        yield from (grid.sized(images, seed) for images in SIZED_IMAGES)
    if "scratch" in grid.kinds:
        for model in grid.models:
            if NETWORKS[model].source.classes_are_large:
                yield replace(grid.case(model, "scratch", OURS, seed), images=LABELLED_IMAGES)


def _with_parents(wanted: Iterable[Case]) -> Iterator[Case]:
    for case in wanted:
        first = parent(case)
        if first is not None:
            yield first
        yield case
