"""Folds of few images: who is held out from whom, and where they say to stop."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.images import ImageSet
from engine.folds import FOLDS, IMAGES_MIN, best_step, share_out


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
