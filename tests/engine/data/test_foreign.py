"""What is amiss with the user's images is told with the likely mistake; what is well is passed over in silence."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.balance import balanced_rows, evenness
from engine.data.foreign import concerns, is_uneven
from engine.data.images import ImageSet
from engine.data.site import Said

CLASSES = 10


def seen_as(classes: np.typing.NDArray[np.intp], confidence: float = 0.9) -> Said:
    probabilities = np.full((len(classes), CLASSES), (1 - confidence) / (CLASSES - 1))
    probabilities[np.arange(len(classes)), classes] = confidence
    return Said(probabilities, np.zeros((len(classes), 3)))


def different(count: int) -> ImageSet:
    inputs = np.random.default_rng(0).standard_normal((count, 3, 4, 4), dtype=np.float32)
    return ImageSet(inputs, None, tuple(map(str, range(count))))


@pytest.mark.parametrize("count", [16, 50, 500])
@pytest.mark.parametrize("seed", range(5))
def test_a_fair_draw_raises_no_concern(count: int, seed: int) -> None:
    classes = np.random.default_rng(seed).integers(CLASSES, size=count)

    assert concerns(different(count), seen_as(classes), seed=0) == ()


@pytest.mark.parametrize("count", [16, 50, 500])
def test_ten_of_one_class_to_one_of_the_others_is_told(count: int) -> None:
    weights = np.array([10.0] + [1.0] * 3 + [0.0] * (CLASSES - 4))
    classes = np.random.default_rng(0).choice(CLASSES, count, p=weights / weights.sum())

    (told,) = concerns(different(count), seen_as(classes), seed=0)

    assert "of its 10 classes" in told
    assert is_uneven(seen_as(classes), seed=0)


def test_an_unsure_network_points_to_the_preprocessing() -> None:
    (told,) = concerns(different(40), seen_as(np.arange(40) % CLASSES, confidence=0.3), seed=0)

    assert "preprocess.mean" in told
    assert "0.30" in told


def test_copies_are_counted() -> None:
    images = different(20)
    images.inputs[10:] = images.inputs[:10]

    (told,) = concerns(images, seen_as(np.arange(20) % CLASSES), seed=0)

    assert told.startswith("10 of 20 images are copies")


def test_without_class_scores_only_copies_are_looked_for() -> None:
    assert concerns(different(20), Said(None, np.zeros((20, 3))), seed=0) == ()


@pytest.mark.parametrize(("counts", "expected"), [((40, 4, 4), (40, 16, 16)), ((5, 5), (5, 5)), ((7, 3), (7, 7))])
def test_rarer_classes_are_repeated_four_times_at_most(counts: tuple[int, ...], expected: tuple[int, ...]) -> None:
    classes = np.repeat(np.arange(len(counts)), counts)

    rows = balanced_rows(classes, seed=0)

    assert tuple(np.bincount(classes[rows])) == expected
    assert set(rows) == set(range(len(classes)))
    of_one = np.bincount(rows)
    assert all(np.ptp(of_one[classes == each]) <= 1 for each in range(len(counts)))


def test_evenness_is_one_for_even_classes_and_none_for_a_single_one() -> None:
    assert evenness(np.arange(100) % CLASSES, CLASSES, seed=0) == 1
    assert evenness(np.zeros(100, np.intp), CLASSES, seed=0) == 0
