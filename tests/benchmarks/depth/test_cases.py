"""The order of cases: seed by seed, each after the job that it starts from, none twice."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.depth.cases import KINDS, Grid, cases, parent
from benchmarks.trained.sources import NETWORKS

GRID = Grid(list(NETWORKS), list(KINDS), [500, 50, 0], [0.7, 0.8], [0.7], [0, 1, 2])


def test_each_case_comes_once_and_after_the_job_that_it_starts_from() -> None:
    asked = cases(GRID)

    assert len(set(asked)) == len(asked)
    starters = [(place, parent(case)) for place, case in enumerate(asked)]
    assert any(first for _, first in starters)
    assert all(first is None or first in asked[:place] for place, first in starters)


def test_a_run_that_is_stopped_leaves_whole_seeds() -> None:
    seeds = [case.seed for case in cases(GRID)]

    assert all(earlier <= later for earlier, later in pairwise(seeds))
    assert set(seeds) == {0, 1, 2}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_brings_the_jobs_that_it_starts_from(kind: str) -> None:
    asked = cases(Grid(list(NETWORKS), [kind], [50], [0.7], [0.7], [0]))

    assert any(case.kind == kind for case in asked)
    starters = {first.kind for case in asked if (first := parent(case)) is not None}
    assert {case.kind for case in asked} == {kind, *starters}


def test_the_filter_peer_is_for_networks_without_skips_and_with_images() -> None:
    peers = [case for case in cases(GRID) if case.kind == "l1-filters"]

    assert {case.model for case in peers} == {"vgg-like"}
    assert {case.images for case in peers} == {500, 50}


def test_classes_with_a_picture_each_cannot_be_imbalanced() -> None:
    assert not any(case.kind == "imbalanced" and case.model.startswith("imagenet") for case in cases(GRID))


def test_jobs_side_by_side_get_more_time_for_fewer_cores() -> None:
    (alone,) = cases(Grid(["cifar10-resnet20"], ["job"], [50], [0.7], [], [0], cores=2, jobs=1, budget_seconds=100))
    (beside,) = cases(Grid(["cifar10-resnet20"], ["job"], [50], [0.7], [], [0], cores=2, jobs=2, budget_seconds=100))

    assert (alone.cores, alone.budget_seconds) == (2, 100)
    assert (beside.cores, beside.budget_seconds) == (1, 200)
