"""Drawing: a test is given to no job, the same seed draws the same, and rare classes are rare."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.trained.draw import all_to_test_on, draw, draw_imbalanced, picture_names
from benchmarks.trained.sources import Pictures

SAMPLE = Pictures("sample.zip", reserved=10)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a zip of ten classes of a hundred pictures."""
    with zipfile.ZipFile(tmp_path / "sample.zip", "w") as pictures:
        for name in (f"{label}/{number:03}.jpg" for label in "abcdefghij" for number in range(100)):
            pictures.writestr(name, name.encode())
        pictures.writestr("readme.txt", b"")
    return tmp_path


def names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as pictures:
        assert all(pictures.read(name) == name.encode() for name in pictures.namelist())
        return set(pictures.namelist())


def test_what_is_reserved_is_the_test_and_never_drawn(data: Path) -> None:
    kept = names(all_to_test_on(SAMPLE, data, data / "test.zip"))

    assert len(kept) == 10
    for seed in range(4):
        assert not kept & names(draw(SAMPLE, data, data / "drawn.zip", 500, seed))
        assert not kept & names(draw_imbalanced(SAMPLE, data, data / "drawn.zip", 300, seed))
    assert len(names(draw(SAMPLE, data, data / "drawn.zip", 990, 0))) == 990


def test_a_file_that_reserves_nothing_is_the_test_as_it_is(data: Path) -> None:
    assert all_to_test_on(Pictures("sample.zip"), data, data / "unused.zip") == data / "sample.zip"


def test_a_seed_draws_the_same_again_and_another_one_does_not(data: Path) -> None:
    drawn = [names(draw(SAMPLE, data, data / "drawn.zip", 50, seed)) for seed in (0, 0, 1)]

    assert drawn[0] == drawn[1] != drawn[2]
    assert len(picture_names(data / "drawn.zip")) == 50


@pytest.mark.parametrize("count", [110, 300, 500])
def test_half_of_the_classes_come_ten_times_as_often(data: Path, count: int) -> None:
    for seed in range(3):
        drawn = names(draw_imbalanced(Pictures("sample.zip"), data, data / "drawn.zip", count, seed))
        found = sorted(Counter(name[0] for name in drawn).values())

        assert len(drawn) == count
        assert len(found) == 10
        assert found[4] < found[5]
        assert sum(found[5:]) / sum(found[:5]) == pytest.approx(10, rel=0.15)
