"""Estimates: half of all jobs are over by the middle, nine of ten by the late bound; wide where nothing is known."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.jobs.forecast import FEW_JOBS, PHASES, Guess, PastJob, expected_run, kind_of, learn, price, remaining, waiting

RATIOS = st.floats(0.2, 5.0)


def a_job(rng: random.Random, *, seconds: float = 300.0) -> PastJob:
    """Make a job whose engine errs by a factor of its own, the same all through, and a little more each time."""
    run_seconds, error = seconds * rng.lognormvariate(0, 0.4), rng.lognormvariate(0.3, 0.5)
    samples = []
    for step in range(1, 20):
        at = run_seconds * step / 20
        left = (run_seconds - at) / error * rng.lognormvariate(0, 0.15)
        samples.append([step / 20, at, left])
    return PastJob(run_seconds, samples)


@pytest.mark.parametrize("seed", range(4))
def test_nine_of_ten_jobs_are_over_by_the_late_bound(seed: int) -> None:
    """Fifty jobs one after the other, each judged by those before it; 85 % must hold, over every estimate made."""
    rng = random.Random(seed)
    past: list[PastJob] = []
    held, sooner, asked = 0, 0, 0
    for _ in range(50):
        job = a_job(rng)
        known = learn(past)
        for fraction, at, left in job.samples:
            guess = remaining(known, fraction=fraction, elapsed_seconds=at, engine_seconds=left)
            assert guess.p50_seconds is not None
            assert guess.p90_seconds is not None
            held += job.run_seconds - at <= guess.p90_seconds
            sooner += job.run_seconds - at <= guess.p50_seconds
            asked += 1
        past.append(job)

    assert held / asked >= 0.85
    assert 0.3 <= sooner / asked <= 0.75


def test_the_bound_is_no_wider_than_it_has_to_be() -> None:
    """With an engine that is always right, the late bound comes down to what it says."""
    exact = [PastJob(100.0, [[step / 20, 5.0 * step, 100.0 - 5.0 * step] for step in range(1, 20)])] * 20

    guess = remaining(learn(exact), fraction=0.5, elapsed_seconds=50.0, engine_seconds=50.0)

    assert guess == (50.0, 50.0)


def test_without_past_jobs_the_interval_is_wide_and_ends_with_the_budget() -> None:
    few = learn([PastJob(10.0, [])] * (FEW_JOBS - 1)) | {"limit_seconds": 600.0}

    assert remaining(few, fraction=0.0, elapsed_seconds=100.0, engine_seconds=None) == (None, 500.0)
    middle, late = remaining(few, fraction=0.5, elapsed_seconds=100.0, engine_seconds=60.0)
    assert middle == 60.0
    assert late is not None
    assert late >= 3 * 60.0
    assert remaining(None, fraction=0.5, elapsed_seconds=1.0, engine_seconds=None) == (None, None)


def test_before_the_engine_says_anything_past_jobs_do() -> None:
    known = learn([PastJob(float(seconds), []) for seconds in (80, 90, 100, 110, 120)])

    assert remaining(known, fraction=0.0, elapsed_seconds=30.0, engine_seconds=None) == (70.0, 150.0)


@settings(max_examples=40)
@given(fraction=st.floats(0, 1), elapsed=st.floats(0, 1e5), left=st.none() | st.floats(0, 1e5), runs=st.lists(RATIOS))
def test_a_guess_is_ordered_and_never_negative(
    fraction: float, elapsed: float, left: float | None, runs: list[float]
) -> None:
    past = [PastJob(100 * ratio, [[0.1, 1.0, 50.0], [0.6, 60.0, 20.0]]) for ratio in runs]

    guess = remaining(
        learn(past) | {"limit_seconds": 900.0}, fraction=fraction, elapsed_seconds=elapsed, engine_seconds=left
    )

    assert guess.p90_seconds is not None
    assert 0 <= (guess.p50_seconds or 0) <= guess.p90_seconds


def test_jobs_on_the_same_network_count_alone_once_there_are_enough() -> None:
    others = [PastJob(1000.0, [])] * 20
    same = [PastJob(10.0, [], is_same_model=True)] * FEW_JOBS

    assert learn([*others, *same])["run"] == [10.0, 15.0]
    assert learn([*others, *same[1:]])["run"][0] == 1000.0


def test_a_waiting_job_takes_its_own_time_behind_its_wait() -> None:
    wait = Guess(50.0, 200.0)

    assert waiting({"run": [100.0, 200.0]}, wait) == (150.0, 400.0)
    assert waiting({"limit_seconds": 60.0}, wait) == (None, 260.0)
    assert waiting({"run": [100.0, 200.0]}, Guess(None, None)) == (None, None)


@given(run=st.floats(0, 1e6), late=RATIOS, wait=st.floats(0, 1e6))
def test_the_time_left_of_a_waiting_job_is_told_by_two_digits(run: float, late: float, wait: float) -> None:
    """Off by no more than a tenth or a second, and late never too soon."""
    told = waiting({"run": [run, run * (1 + late)]}, Guess(wait, 2 * wait))

    for seconds, exact in zip(told, (wait + run, 2 * wait + run * (1 + late)), strict=True):
        assert seconds is not None
        assert seconds == float(f"{seconds:.1e}")
        assert seconds == pytest.approx(exact, rel=0.1, abs=1.0)
    assert (told.p50_seconds or 0) <= (told.p90_seconds or 0)
    assert (told.p90_seconds or 0) >= 2 * wait + run * (1 + late) - 0.1


@given(limit=st.floats(0, 1e5), runs=st.lists(RATIOS))
def test_a_price_is_ordered_and_no_more_than_a_job_may_take(limit: float, runs: list[float]) -> None:
    middle, late = price(learn([PastJob(100 * ratio, []) for ratio in runs]) | {"limit_seconds": limit})

    assert 0 <= middle <= late <= limit


@given(limit=st.floats(1, 1e5), runs=st.lists(RATIOS, min_size=FEW_JOBS))
def test_a_job_takes_behind_its_wait_what_it_costs_those_behind_it(limit: float, runs: list[float]) -> None:
    """No more than it may take, whatever past jobs took."""
    known = learn([PastJob(100 * ratio, []) for ratio in runs]) | {"limit_seconds": limit}

    own, told = expected_run(known), waiting(known, Guess(0.0, 0.0))

    assert (own.p90_seconds or 0) <= limit
    assert told.p90_seconds == pytest.approx(own.p90_seconds, rel=0.1, abs=1.0)
    assert price(known) == own


def test_phases_cover_every_fraction_once() -> None:
    assert PHASES[0] == 0.0
    assert PHASES[-1] > 1.0
    assert all(low < high for low, high in pairwise(PHASES))


def test_a_kind_tells_jobs_apart_that_take_differently_long() -> None:
    one = {"target": {"latency_ratio": 0.7}, "method": {"name": "blocks"}}
    front = {"target": {"pareto": 8}, "method": {"name": "blocks"}}

    kinds = {
        kind_of(recipe, device, has_images=images)
        for recipe in (one, front, {})
        for device in ("cpu", "gpu")
        for images in (True, False)
    }

    assert len(kinds) == 12
    assert kind_of({"target": {"latency_ratio": 0.5}, "method": {"name": "blocks"}}, "cpu", has_images=True) in kinds
