"""Folds of few images: who is held out from whom, and where they say to stop."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from engine import folds
from engine.data.images import ImageSet
from engine.folds import FOLDS, IMAGES_MIN, StudentPace, best_step, schedule_by_folds, share_out, told_after_folds
from engine.planning import Plan
from engine.recovery.distil import Training
from engine.recovery.schedule import Schedule
from tests.engine.outputs.subjects import subject_of
from tests.networks import NETWORKS


def images(names: list[str]) -> ImageSet:
    return ImageSet(np.arange(len(names), dtype=np.float32)[:, None], None, tuple(names))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [IMAGES_MIN, 13, 50])
@pytest.mark.parametrize("views", [1, 4])
def test_each_image_is_held_out_once_and_then_learnt_from_in_no_view(seed: int, count: int, views: int) -> None:
    sent = [f"sent{number}" for number in range(count)]
    repair, selection = images([*sent[3:] * views, *(f"scene[{number}]" for number in range(7))]), images(sent[:3])

    folds = list(share_out(repair, selection, frozenset(sent), seed))

    assert len(folds) == FOLDS
    assert sorted(name for fold in folds for name in fold.held_out.names) == sorted(sent)
    for fold in folds:
        assert not set(fold.learn.names) & set(fold.held_out.names)
        assert {f"scene[{number}]" for number in range(7)} <= set(fold.learn.names)
        assert set(fold.learn.names) | set(fold.held_out.names) >= set(sent[3:])


def test_rows_stay_with_their_names() -> None:
    sent = [f"sent{number}" for number in range(12)]
    repair, selection = images(sent[2:]), ImageSet(np.array([[100.0], [101.0]], np.float32), None, tuple(sent[:2]))
    right = dict(zip(sent, [100.0, 101.0, *range(10)], strict=True))

    for fold in share_out(repair, selection, frozenset(sent), 0):
        for part in (fold.learn, fold.held_out):
            assert [right[name] for name in part.names] == part.inputs[:, 0].tolist()


@pytest.mark.parametrize("count", range(IMAGES_MIN))
def test_too_few_images_make_no_folds(count: int) -> None:
    names = [f"sent{number}" for number in range(count)]

    assert not list(share_out(images(names), images([]), frozenset(names), 0))


def test_it_stops_where_the_mean_is_least_of_the_steps_that_all_came_to() -> None:
    curves = [{0: 1.0, 5: 0.8, 10: 0.5, 15: 0.1}, {0: 1.0, 5: 0.7, 10: 0.9}, {0: 1.0, 5: 0.8, 10: 0.9, 15: 0.2}]

    assert best_step(curves) == 5
    assert best_step([{0: 1.0, 5: 1.1}, {0: 1.0, 5: 1.2}]) == 0


@pytest.mark.parametrize(
    ("seconds", "before", "a_step", "trained", "asked"),
    [
        (300.0, 89.0, 0.1, 0, 1),  # 30 for views and 3 * 89 leave 3 s, and 4 * 600 steps take 240
        (300.0, 90.0, 0.1, 0, 0),  # the cuts alone take all there is: no step has to be timed
        (600.0, 100.0, 0.1, FOLDS, 1),
    ],
)
def test_folds_are_begun_only_where_all_of_them_and_the_student_have_time(
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    before: float,
    a_step: float,
    trained: int,
    asked: int,
) -> None:
    subject = subject_of(NETWORKS["residual"][0]())
    subject = dataclasses.replace(subject, sent=frozenset(subject.split.repair.names))
    begun, told = list[int](), list[float]()

    def train(*_: object) -> Training:
        begun.append(1)
        return Training(0.5, 600, 600, 50, "schedule", ((0, 1.0), (25, 0.9), (50, 0.5), (75, 0.6)), 1.0)

    def step() -> float:
        told.append(a_step)
        return a_step

    def left() -> float:
        return seconds

    monkeypatch.setattr(folds, "_train", train)

    found = schedule_by_folds(
        subject, Plan((), 1.0, 0.0), Schedule(), left, StudentPace(before, step), lambda done, doing: None
    )

    assert (len(begun), len(told)) == (trained, asked)
    assert found == Schedule(until=50 if trained else None)


def test_folds_and_the_student_behind_them_each_have_a_part_of_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(NETWORKS["residual"][0]())
    subject = dataclasses.replace(subject, sent=frozenset(subject.split.repair.names))
    told = list[float]()

    def tell(part: float, message: str) -> None:
        told.append(part)

    def train(*arguments: Any) -> Training:
        for part in (0.0, 0.5, 1.0):
            arguments[-1](part, "a step")
        return Training(0.5, 600, 600, 50, "schedule", ((0, 1.0), (25, 0.9)), 1.0)

    monkeypatch.setattr(folds, "_train", train)
    pace = StudentPace(1.0, lambda: 0.01)

    schedule_by_folds(subject, Plan((), 1.0, 0.0), Schedule(), lambda: 600.0, pace, tell)
    for part in (0.0, 1.0):
        told_after_folds(tell)(part, "a step")

    assert told == sorted(told)
    assert (told[0], told[-3], told[-2], told[-1]) == (0.0, 0.75, 0.75, 1.0)
