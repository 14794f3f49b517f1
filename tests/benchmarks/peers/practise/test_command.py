"""A run that was stopped goes on: what is in the file is not done again, and scores are read back from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.practise import __main__ as command
from benchmarks.peers.practise.practise import PractiseResult
from benchmarks.peers.practise.recipe import BlockScore, Scores, Seconds, Tuned
from engine.report import Interval

JOB = command.Job("cifar10-resnet20", images=50, seed=1, scoring_steps=10, tuning_steps=20)
SCORES = Scores((BlockScore("b", 0.1, 5.0), BlockScore("a", 0.3, 5.0)), 10, Seconds(4.0, 3.0))


class FakePractise:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.ratios: list[float] = []
        self.given: Scores | None = None

    def run(
        self, _images: Any, ratios: Sequence[float], *, scores: Scores | None, **_options: int
    ) -> Iterator[PractiseResult]:
        self.given = scores
        for ratio in ratios:
            self.ratios.append(ratio)
            measured = Interval(value=ratio - 0.01, low=ratio - 0.02, high=ratio)
            yield PractiseResult(ratio, scores or SCORES, Tuned(("b",), measured, None, 20, Seconds(2.0, 1.0)))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    hits = np.arange(16) % 3 > 0
    monkeypatch.setattr(command, "_inputs", lambda job, data: None)
    monkeypatch.setattr(command, "images_to_test_on", lambda *_: None)
    monkeypatch.setattr(command, "hits_of_original", lambda *_: hits)
    monkeypatch.setattr(command, "top1_hits", lambda *_: ~hits)


def _rows(ratios: Sequence[float], known: Sequence[dict[str, Any]], job: command.Job = JOB) -> tuple[Any, list[Any]]:
    practise = FakePractise()
    rows = command._run(practise, job, ratios, Path(), Path(), known)  # type: ignore[arg-type]
    return practise, json.loads(json.dumps(list(rows)))


def test_a_row_tells_what_was_asked_found_and_spent() -> None:
    _, (row,) = _rows([0.7], [])

    assert (row["model"], row["images"], row["seed"], row["latency_ratio"]) == ("cifar10-resnet20", 50, 1, 0.7)
    assert (row["units_cut"], row["dropped"], row["measured_ratio"]) == (1, ["b"], 0.69)
    assert (row["score_steps"], row["score_cpu_seconds"], row["tune_steps"], row["tune_seconds"]) == (10, 3.0, 20, 2.0)
    assert int(row["hits"], 16) ^ int(row["hits_before"], 16) == 0xFFFF


def test_only_what_is_not_in_the_file_is_run_and_its_scores_are_used_again() -> None:
    _, known = _rows([0.8, 0.7], [])

    practise, rows = _rows([0.8, 0.7, 0.6], known)

    assert practise.ratios == [0.6]
    assert practise.given == SCORES
    assert rows[0]["score_cpu_seconds"] == known[0]["score_cpu_seconds"]


def test_nothing_is_run_where_all_is_there() -> None:
    _, known = _rows([0.7], [])

    practise, rows = _rows([0.7], known)

    assert (practise.ratios, rows) == ([], [])


@pytest.mark.parametrize(
    "other",
    [
        command.Job("cifar10-resnet20", 500, 1, 10, 20),
        command.Job("cifar10-resnet20", 50, 2, 10, 20),
        command.Job("cifar10-resnet56", 50, 1, 10, 20),
        command.Job("cifar10-resnet20", 50, 1, 11, 20),
    ],
)
def test_another_job_is_scored_anew(other: command.Job) -> None:
    _, known = _rows([0.7], [])

    practise, rows = _rows([0.7], known, other)

    assert practise.given is None
    assert len(rows) == 1


def test_other_steps_of_tuning_need_no_new_scores() -> None:
    _, known = _rows([0.7], [])

    practise, rows = _rows([0.7], known, command.Job("cifar10-resnet20", 50, 1, 10, 40))

    assert practise.given == SCORES
    assert len(rows) == 1
