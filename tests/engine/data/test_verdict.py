"""The check of made images tells pictures from noise and from monotony, and needs no label."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.site import Floats, Said
from engine.data.verdict import check, effective_rank
from engine.report import CheckFigure

COUNT, WIDTH, CLASSES = 200, 24, 10


def features(directions: int, count: int = COUNT, seed: int = 0) -> Floats:
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((directions, WIDTH))
    return np.asarray(generator.standard_normal((count, directions)) @ mixing)


def said_of(confidence: float, classes: int, found: Floats | None = None) -> Said:
    """Answer with one class of the first `classes` for each image, as sure as told."""
    probabilities = np.full((COUNT, CLASSES), (1 - confidence) / (CLASSES - 1))
    probabilities[np.arange(COUNT), np.arange(COUNT) % classes] = confidence
    return Said(probabilities, features(WIDTH) if found is None else found)


def failed(figures: tuple[CheckFigure, ...]) -> set[str]:
    return {figure.name for figure in figures if not figure.passed}


def half_dead() -> Floats:
    found = features(WIDTH)
    found[:, ::2] = 3.0
    return found


def of_two_kinds() -> Floats:
    """Every second image varies in directions of its own."""
    found = 0.01 * features(WIDTH)
    found[::2, :4] += features(WIDTH)[::2, :4]
    found[1::2, 12:] += features(WIDTH)[1::2, 12:]
    return found


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (said_of(0.9, CLASSES), set()),
        (said_of(0.3, CLASSES), {"mean confidence"}),
        (said_of(0.999, CLASSES), {"mean confidence"}),
        (said_of(0.9, 3), {"class coverage"}),
        (said_of(0.9, CLASSES, half_dead()), {"dead channels"}),
        (said_of(0.9, CLASSES, features(1)), {"effective rank"}),
        (said_of(0.9, CLASSES, of_two_kinds()), {"split-half error"}),
    ],
    ids=["sound", "unsure", "shouting", "few classes", "dead", "monotonous", "two kinds"],
)
def test_each_fault_fails_its_own_figure(said: Said, expected: set[str]) -> None:
    assert failed(check(said)) == expected


def test_without_class_scores_only_what_applies_is_checked() -> None:
    names = {figure.name for figure in check(Said(None, features(WIDTH)))}

    assert names == {"dead channels", "effective rank", "split-half error"}


@pytest.mark.parametrize(("directions", "passes"), [(16, True), (3, False)])
def test_real_images_set_the_rank_where_there_are_some(directions: int, passes: bool) -> None:
    real = Said(None, features(20, count=15, seed=1))

    (rank,) = (figure for figure in check(Said(None, features(directions)), real) if "rank" in figure.name)

    assert "real" in rank.name
    assert rank.passed is passes


@pytest.mark.parametrize("directions", [1, 2, 5, 20])
def test_the_effective_rank_of_even_directions_is_their_number(directions: int) -> None:
    even = np.concatenate([np.eye(directions, WIDTH), -np.eye(directions, WIDTH)])

    assert effective_rank(even) == pytest.approx(directions, rel=1e-6)


def test_one_image_has_a_verdict_too() -> None:
    figures = check(Said(np.array([[0.9, 0.1]]), np.ones((1, 4))))

    assert all(np.isfinite(figure.value) for figure in figures)
