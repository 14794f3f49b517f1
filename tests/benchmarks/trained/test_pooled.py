"""The interval over several seeds: that of one seed where there is one, and as sure as it says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trained.judge import Hits, pack, unpack
from benchmarks.trained.pooled import pooled_difference
from engine.measure.statistics import paired_difference


def drawn(generator: np.random.Generator, seeds: int, pictures: int, change: float) -> tuple[Hits, Hits]:
    """Return answers before and after; hard pictures are hard for every seed."""
    hard = generator.random(pictures) < 0.2
    before = np.tile(~hard, (seeds, 1))
    after = np.where(generator.random((seeds, pictures)) < change * np.where(hard, 4, 1), ~before, before)
    return before, after


def test_of_one_seed_it_is_the_paired_interval() -> None:
    for seed in range(20):
        before, after = drawn(np.random.default_rng(seed), 1, 300, 0.05)

        pooled, single = pooled_difference(before, after), paired_difference(before[0], after[0])

        assert pooled.model_dump() == pytest.approx(single.model_dump(), abs=1e-12)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    """The truth here: easy pictures are lost with 0.05, hard ones won with 0.2; 0.8 and 0.2 of all."""
    generator, truth, inside = np.random.default_rng(0), -0.8 * 0.05 + 0.2 * 0.2, 0
    for _ in range(500):
        found = pooled_difference(*drawn(generator, 3, 200, 0.05))
        inside += found.low <= truth <= found.high

    assert inside / 500 >= 0.93


def test_more_seeds_say_no_more_than_the_pictures_can() -> None:
    before, after = drawn(np.random.default_rng(1), 1, 300, 0.05)

    once, thrice = (pooled_difference(np.tile(before, (n, 1)), np.tile(after, (n, 1))) for n in (1, 3))

    assert thrice.model_dump() == pytest.approx(once.model_dump(), abs=1e-12)


def test_what_is_not_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="not pairs"):
        pooled_difference(np.ones((1, 3), bool), np.ones((2, 3), bool))


@pytest.mark.parametrize("count", [1, 7, 8, 4000])
def test_answers_survive_packing(count: int) -> None:
    answers = np.random.default_rng(count).random(count) < 0.5

    assert (unpack(pack(answers), count) == answers).all()
