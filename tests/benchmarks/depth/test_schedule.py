"""Who starts from another's result waits for it; slots are kept busy."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.depth import schedule
from benchmarks.depth.cases import Case, Grid, cases, parent
from benchmarks.depth.run import Task
from benchmarks.depth.schedule import in_order, shares_of_cores
from benchmarks.trained.memory import Row


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_every_case_is_run_once_with_its_parents_row(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "run", lambda task: {"of": task, "seed": task.seed})
    asked = cases(Grid(["vgg-like"], ["l1-filters", "recovered"], [500, 50], [0.7, 0.8], [0.7], [0, 1]))
    done: dict[Case, Row] = {}
    seen: list[Case] = []

    def task(case: Case) -> Task:
        first = parent(case)
        assert first is None or done[first]["seed"] == case.seed
        return case  # type: ignore[return-value]  # the task is only handed on

    slots = [ThreadPoolExecutor(1) for _ in range(jobs)]
    for case, row in in_order(asked, done, slots, task):
        assert row["of"] == case
        seen.append(case)
        done[case] = row
    for slot in slots:
        slot.shutdown()

    assert sorted(map(str, seen)) == sorted(map(str, asked))


def test_jobs_share_the_cores_and_no_core_is_in_two_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7, 9})

    assert shares_of_cores(1) == [{3, 5, 7, 9}]
    assert shares_of_cores(2) == [{3, 7}, {5, 9}]
    with pytest.raises(SystemExit, match="there are 4"):
        shares_of_cores(5)
