"""Splits are disjoint, complete, fair to every class and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.images import ImageSet
from engine.data.sampling import sample_evenly
from engine.data.splits import Split, split


def image_set(count: int, classes: int | None = None) -> ImageSet:
    inputs = np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)
    labels = None if classes is None else np.arange(count, dtype=np.int64) % classes
    return ImageSet(inputs, labels, tuple(str(index) for index in range(count)))


def parts(divided: Split) -> list[ImageSet]:
    return [divided.repair, divided.selection, divided.test]


@pytest.mark.parametrize("classes", [None, 1, 7])
def test_every_image_is_in_exactly_one_part(classes: int | None) -> None:
    for count in [*range(40), 100, 501, 5000]:
        names = [name for part in parts(split(image_set(count, classes), seed=0)) for name in part.names]

        assert sorted(names, key=int) == [str(index) for index in range(count)]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, [0, 0, 0]),
        (1, [1, 0, 0]),
        (2, [1, 0, 1]),
        (3, [1, 1, 1]),
        (10, [8, 1, 1]),
        (50, [40, 5, 5]),
        (500, [400, 50, 50]),
        (4000, [3400, 200, 400]),
    ],
)
def test_repair_gets_most(count: int, sizes: list[int]) -> None:
    assert [len(part) for part in parts(split(image_set(count), seed=0))] == sizes


def test_inputs_labels_and_names_stay_together() -> None:
    for part in parts(split(image_set(60, classes=5), seed=3)):
        assert part.labels is not None
        for value, label, name in zip(part.inputs.ravel(), part.labels, part.names, strict=True):
            assert name == str(int(value))
            assert label == int(value) % 5


def test_every_class_gives_its_share() -> None:
    divided = split(image_set(500, classes=10), seed=0)

    for part in parts(divided):
        assert part.labels is not None
        assert np.bincount(part.labels).tolist() == [len(part) // 10] * 10


def test_the_seed_decides() -> None:
    images = image_set(100)

    first, again, other = (split(images, seed=seed).test.names for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_an_even_sample_is_exact_distinct_and_fair() -> None:
    """Any number from any classes: the count is exact and no class is off its share by a whole image."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        total = int(generator.integers(1, 120))
        count = int(generator.integers(1, total + 1))
        labels = generator.integers(0, 6, total)

        drawn = sample_evenly(labels, total, count, generator)

        assert len(np.unique(drawn)) == count
        assert (np.diff(drawn) > 0).all()
        shares = np.bincount(labels, minlength=6) * count / total
        assert (np.abs(np.bincount(labels[drawn], minlength=6) - shares) < 1 + 1e-9).all()
