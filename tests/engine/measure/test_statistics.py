"""Intervals hold what they promise: known values, symmetries, and coverage on seeded streams."""

from __future__ import annotations

import numpy as np
import pytest

from engine.measure.statistics import INDICES_AT_ONCE, bootstrap, paired_difference, paired_ratio, wilson
from engine.report import Bounds, Interval

TRIALS = 300


def holds(interval: Interval | Bounds, truth: float) -> bool:
    return interval.low <= truth <= interval.high


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (50, 100, 0.4038, 0.5962),
    ],
)
def test_wilson_by_known_values(successes: int, total: int, low: float, high: float) -> None:
    found = wilson(successes, total)

    assert found.value == successes / total
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(("successes", "total"), [(0, 0), (3, 2), (-1, 2)])
def test_what_is_no_proportion_is_refused(successes: int, total: int) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        wilson(successes, total)


@pytest.mark.parametrize("truth", [0.05, 0.5, 0.9])
def test_wilson_covers_the_truth(truth: float) -> None:
    draws = np.random.default_rng(0).binomial(60, truth, TRIALS)

    assert np.mean([holds(wilson(int(successes), 60), truth) for successes in draws]) > 0.91


def test_a_paired_difference_of_nothing_is_narrow() -> None:
    hits = np.arange(1000) % 5 > 0

    found = paired_difference(hits, hits)

    assert found.value == 0
    assert -0.005 < found.low < 0 < found.high < 0.005


def test_a_paired_difference_turns_with_its_sides() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.random(200) < 0.8, generator.random(200) < 0.7

    there, back = paired_difference(before, after), paired_difference(after, before)

    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_a_paired_difference_covers_the_truth() -> None:
    """Before, 80 % are hits; then a tenth of the misses is gained and a twentieth of the hits lost."""
    generator = np.random.default_rng(0)
    truth, found = 0.2 * 0.1 - 0.8 * 0.05, []
    for _ in range(TRIALS):
        before = generator.random(400) < 0.8
        changed = generator.random(400) < np.where(before, 0.05, 0.1)
        found.append(holds(paired_difference(before, before ^ changed), truth))

    assert np.mean(found) > 0.91


@pytest.mark.parametrize("count", [2, 7, 100])
def test_a_constant_ratio_is_exact(count: int) -> None:
    times = np.random.default_rng(0).uniform(1, 9, count)

    found = paired_ratio(times * 0.7, times, seed=0)

    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.7, 0.7))


def test_one_pair_has_no_interval() -> None:
    with pytest.raises(ValueError, match="not pairs"):
        paired_ratio(np.ones(1), np.ones(1), seed=0)


@pytest.mark.parametrize("count", [6, 12, 30, 100])
def test_a_paired_ratio_covers_the_truth(count: int) -> None:
    generator = np.random.default_rng(count)
    found = [
        paired_ratio(np.exp(0.02 * generator.standard_t(3, count)), np.ones(count), seed=0, resamples=300)
        for _ in range(TRIALS)
    ]

    assert np.mean([holds(interval, 1.0) for interval in found]) > 0.91


def test_a_paired_ratio_turns_with_its_sides() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.uniform(1, 2, 51), generator.uniform(1, 2, 51)

    there, back = paired_ratio(a, b, seed=0), paired_ratio(b, a, seed=0)

    assert there.value == pytest.approx(1 / back.value)
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low), rel=2e-2)


def test_the_seed_decides_the_interval() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.uniform(1, 2, 40), generator.uniform(1, 2, 40)

    assert paired_ratio(a, b, seed=3) == paired_ratio(a, b, seed=3)
    assert paired_ratio(a, b, seed=3) != paired_ratio(a, b, seed=4)


def busy_machine(generator: np.random.Generator, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Times of two networks, 7 ms and 10 ms, beside a load that comes and goes.

    The load doubles the time of both while it lasts, about 20 rounds at a time; on top of it one sample in eight is
    interrupted for up to 20 ms, each for itself.
    """
    loaded = np.cumsum(generator.random(rounds) < 0.05) % 2
    speed = 1 + loaded * generator.uniform(0.8, 1.2, rounds)
    times = []
    for quiet_ms in (7.0, 10.0):
        interrupted = (generator.random(rounds) < 0.125) * generator.uniform(0, 20, rounds)
        times.append(quiet_ms * speed * generator.normal(1, 0.02, rounds) + interrupted)
    return times[0], times[1]


def test_the_ratio_is_found_on_a_busy_machine() -> None:
    generator = np.random.default_rng(0)
    found = [paired_ratio(*busy_machine(generator, 100), seed=0, resamples=300) for _ in range(TRIALS)]

    assert all(abs(interval.value / 0.7 - 1) < 0.02 for interval in found)
    assert np.mean([holds(interval, 0.7) for interval in found]) > 0.9
    assert np.median([interval.high - interval.low for interval in found]) < 0.04


def test_two_of_the_same_network_differ_by_nothing() -> None:
    generator = np.random.default_rng(1)
    found = []
    for _ in range(TRIALS):
        speed = np.exp(np.cumsum(generator.normal(0, 0.02, 60)))  # a clock that drifts under both
        a, b = (speed * generator.lognormal(0, 0.05, 60) for _ in range(2))
        found.append(paired_ratio(a, b, seed=0, resamples=300))

    assert np.mean([holds(interval, 1.0) for interval in found]) > 0.9


@pytest.mark.parametrize("images", [3, 20])
def test_a_bootstrap_over_images_covers_the_truth(images: int) -> None:
    """Errors of images of another size each, as the relative error of an output has them."""
    generator, found = np.random.default_rng(0), []
    for seed in range(TRIALS):
        signals = generator.gamma(3, 1, images)
        errors = signals * generator.gamma(1.5, 0.02, images)

        def figure(drawn: np.ndarray, errors: np.ndarray = errors, signals: np.ndarray = signals) -> np.ndarray:
            return np.asarray(np.sqrt(errors[drawn].sum(axis=1) / signals[drawn].sum(axis=1)))

        bounds = bootstrap(float(np.sqrt(errors.sum() / signals.sum())), figure, images, seed=seed)
        assert bounds is not None
        found.append(holds(bounds, np.sqrt(0.03)))

    assert np.mean(found) > 0.87


def test_a_bootstrap_of_one_image_says_nothing_and_of_equal_ones_that_they_are() -> None:
    assert bootstrap(1.0, lambda drawn: np.ones(len(drawn)), 1) is None
    assert bootstrap(1.0, lambda drawn: np.ones(len(drawn)), 9) == Bounds(low=1.0, high=1.0)


def test_a_bootstrap_of_many_images_never_draws_all_at_once() -> None:
    values, sizes = np.random.default_rng(0).random(5_000), []

    def mean(drawn: np.ndarray) -> np.ndarray:
        sizes.append(drawn.size)
        return np.asarray(values[drawn].mean(axis=1))

    bounds = bootstrap(float(values.mean()), mean, len(values))

    assert max(sizes) <= INDICES_AT_ONCE
    assert sum(sizes) == 1000 * len(values)
    assert bounds is not None
    assert bounds.high - bounds.low == pytest.approx(2 * 1.96 * values.std() / len(values) ** 0.5, rel=0.15)
