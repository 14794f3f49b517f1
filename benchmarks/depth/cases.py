"""What is run: models, kinds, images, ratios and seeds make cases, in the order in which they are worth having."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from benchmarks.trained.sources import NETWORKS

KINDS = {
    "job": "a job as a user would send it",
    "units": "a job that takes whole units alone, no channels beside them",
    "recovered": "no images at the cuts of such a job with 50, for the share of accuracy that is won back",
    "foreign": "500 images of another domain",
    "imbalanced": "500 images of which half of the classes have ten times as many",
    "front": "a whole front of at least eight networks from one job, for its time and its size",
    "again": "the job with the table of times that its report gave, for the same cuts and the same file",
    "l1-filters": "a peer: filters of smallest L1 norm, the same distillation for the same time",
}
MANY_IMAGES = 500
FEW_IMAGES = 50


@dataclass(frozen=True)
class Case:
    """One job and its judgement. The job may use `cores`, and `budget_seconds` by the clock on the wall."""

    model: str
    kind: str
    images: int
    latency_ratio: float
    seed: int
    batch: int
    threads: int
    cores: int
    budget_seconds: float


@dataclass(frozen=True)
class Grid:
    """What was asked for on the command line. `extra_ratios` are those of all kinds but jobs and peers."""

    models: Sequence[str]
    kinds: Sequence[str]
    images: Sequence[int]
    ratios: Sequence[float]
    extra_ratios: Sequence[float]
    seeds: Sequence[int]
    batch: int = 8
    threads: int = 1
    cores: int = 2
    jobs: int = 1
    budget_seconds: float | None = None

    def case(self, model: str, kind: str, images: int, ratio: float, seed: int) -> Case:
        """Return a case; jobs side by side share the cores, and get more time for it."""
        whole = self.budget_seconds or NETWORKS[model].budget_seconds
        cores = max(self.cores // self.jobs, 1)
        return Case(model, kind, images, ratio, seed, self.batch, self.threads, cores, whole * self.jobs)


def cases(grid: Grid) -> list[Case]:
    """Return what to run: seed by seed, so that a run that is stopped leaves whole tables of fewer seeds."""
    wanted = [case for seed in grid.seeds for case in _of_one_seed(grid, seed)]
    return list(dict.fromkeys(_with_parents(wanted)))


def parent(case: Case) -> Case | None:
    """Return the job that a case starts from: whose cuts it makes, or whose time for recovery it gets."""
    match case.kind:
        case "recovered":
            return replace(case, kind="units", images=FEW_IMAGES)
        case "l1-filters" | "again":
            return replace(case, kind="job")
    return None


def _of_one_seed(grid: Grid, seed: int) -> Iterator[Case]:
    for kind, ratio, model in product(grid.kinds, grid.ratios, grid.models):
        if kind in ("job", "units", "l1-filters"):
            for images in grid.images:
                if kind != "l1-filters" or (images and not NETWORKS[model].residual):
                    yield grid.case(model, kind, images, ratio, seed)
    for kind, ratio, model in product(grid.kinds, grid.extra_ratios, grid.models):
        match kind:
            case "recovered":
                yield grid.case(model, kind, 0, ratio, seed)
            case "imbalanced" if not NETWORKS[model].source.classes_are_large:
                continue
            case "front" | "again" if seed != grid.seeds[0]:
                continue
            case "foreign" | "imbalanced" | "front" | "again":
                yield grid.case(model, kind, MANY_IMAGES, ratio, seed)


def _with_parents(wanted: Iterable[Case]) -> Iterator[Case]:
    for case in wanted:
        first = parent(case)
        if first is not None:
            yield first
        yield case
