"""Who is timed when: on a machine whose clock only moves when something runs, so that nothing here depends on time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from engine.errors import ModelError, RecipeInvalid
from engine.measure import latency
from engine.measure.feeds import random_feed
from engine.measure.latency import (
    ROUNDS_BEFORE_ASKING,
    ROUNDS_MIN,
    WARM_UPS,
    Samples,
    clock_for,
    compare_latency,
    take_samples,
    time_models,
)
from engine.recipe import Deploy
from tests.engine.measure.conftest import Parse

MS = 1_000_000

NETWORK = """agraph (float[n, 3, {height}, 4] image) => (float[n, 3, h, 4] y) {{ y = Relu(image) }}"""


class FakeMachine:
    """Runs that take a fixed time each; remembers who ran."""

    def __init__(self, **durations_ms: float) -> None:
        self.now_ns = 0
        self.ran: list[str] = []
        self.runs = [self._run(name, duration_ms) for name, duration_ms in durations_ms.items()]

    def clock(self) -> int:
        return self.now_ns

    def _run(self, name: str, duration_ms: float) -> Callable[[], None]:
        def run() -> None:
            self.ran.append(name)
            self.now_ns += int(duration_ms * MS)

        return run

    def sample(self, rounds: int, seed: int = 0) -> Samples:
        return take_samples(
            self.runs,
            seed=seed,
            budget_seconds=1e9,
            enough=lambda taken: len(taken) >= rounds,
            clock=self.clock,
            wall=self.clock,
        )


def test_each_network_runs_once_a_round_in_random_order() -> None:
    machine = FakeMachine(a=10, b=7)

    samples = machine.sample(rounds=50)

    timed = machine.ran[2 * WARM_UPS :]
    orders = Counter(zip(timed[::2], timed[1::2], strict=True))
    assert set(orders) == {("a", "b"), ("b", "a")}
    assert min(orders.values()) > len(samples) / 5
    np.testing.assert_allclose(samples, [[10, 7]] * len(samples))


def test_every_network_is_warmed_up_before_any_is_timed() -> None:
    machine = FakeMachine(a=10, b=7, c=5)

    machine.sample(rounds=30)

    assert machine.ran[: 3 * WARM_UPS] == ["a"] * WARM_UPS + ["b"] * WARM_UPS + ["c"] * WARM_UPS


def test_a_short_run_is_timed_in_bundles_of_two_milliseconds() -> None:
    machine = FakeMachine(a=0.3, b=5)

    samples = machine.sample(rounds=30)

    timed = Counter(machine.ran[2 * WARM_UPS :])
    assert timed == {"a": 7 * len(samples), "b": len(samples)}
    np.testing.assert_allclose(samples, [[0.3, 5]] * len(samples))


def test_sampling_ends_when_the_budget_is_spent() -> None:
    machine = FakeMachine(a=10, b=10)

    samples = take_samples(
        machine.runs, seed=0, budget_seconds=1, enough=lambda taken: False, clock=machine.clock, wall=machine.clock
    )

    assert len(samples) == (1000 - 2 * WARM_UPS * 10) / 20
    assert machine.now_ns == 1000 * MS


def test_six_rounds_are_taken_whatever_they_cost() -> None:
    machine = FakeMachine(a=10_000, b=10_000)

    samples = take_samples(
        machine.runs, seed=0, budget_seconds=0.001, enough=lambda taken: True, clock=machine.clock, wall=machine.clock
    )

    assert len(samples) == ROUNDS_MIN


def test_enough_is_asked_at_growing_intervals() -> None:
    machine = FakeMachine(a=10)
    asked: list[int] = []

    def enough(samples: Samples) -> bool:
        asked.append(len(samples))
        return len(asked) == 6

    samples = take_samples(
        machine.runs, seed=0, budget_seconds=1e9, enough=enough, clock=machine.clock, wall=machine.clock
    )

    assert asked[0] == ROUNDS_BEFORE_ASKING
    assert asked[-1] == len(samples)
    assert all(late - early >= 0.3 * early for early, late in pairwise(asked))


def test_waiting_for_the_core_spends_the_budget_but_is_no_latency() -> None:
    """Another program takes half of the machine: the wall's clock goes twice as fast as the thread's."""
    machine = FakeMachine(a=10, b=7)

    samples = take_samples(
        machine.runs,
        seed=0,
        budget_seconds=10,
        enough=lambda taken: False,
        clock=machine.clock,
        wall=lambda: 2 * machine.clock(),
    )

    np.testing.assert_allclose(samples, [[10, 7]] * len(samples))
    assert 2 * machine.now_ns == pytest.approx(10_000 * MS, rel=0.01)


@pytest.mark.parametrize(
    ("deploy", "clock"),
    [
        ({}, "thread"),
        ({"threads": 2}, "wall"),
        ({"provider": "cuda"}, "wall"),
    ],
)
def test_the_threads_clock_is_read_where_one_thread_does_all(deploy: dict[str, object], clock: str) -> None:
    assert clock_for(Deploy.model_validate(deploy)) == clock


def test_the_seed_decides_the_order() -> None:
    def order(seed: int) -> list[str]:
        machine = FakeMachine(a=10, b=7, c=5)
        machine.sample(rounds=30, seed=seed)
        return machine.ran

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize(("doubt_seconds", "spent"), [(0.0, [3.0]), (5.0, [3.0, 5.0]), (50.0, [3.0, 12.0])])
def test_doubt_has_its_own_time_and_no_more(
    parse: Parse, monkeypatch: pytest.MonkeyPatch, doubt_seconds: float, spent: list[float]
) -> None:
    """Two that are alike and noisy: which of them is faster stays open."""
    budgets: list[float] = []
    noisy = np.random.default_rng(0).uniform(5, 15, (40, 2))

    def taken(*runs: object, budget_seconds: float, **options: object) -> Samples:
        budgets.append(budget_seconds)
        return noisy

    monkeypatch.setattr(latency, "take_samples", taken)
    model = parse(NETWORK.format(height=4))

    found = compare_latency(model, model, Deploy(), {}, seed=0, budget_seconds=3.0, doubt_seconds=doubt_seconds)

    assert found.ratio.low < 1 < found.ratio.high
    assert budgets == spent


def test_a_comparison_is_whole(parse: Parse) -> None:
    model = parse(NETWORK.format(height=4))

    found = compare_latency(model, model, Deploy(batch=2), {}, seed=0, budget_seconds=0.2)

    for times in (found.original, found.delivered):
        assert 0 < times.latency_ms_p50 <= times.latency_ms_p95
        assert times.samples >= ROUNDS_MIN
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    assert found.clock == "thread"


def test_which_is_faster_is_worth_more_time_than_was_asked(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first samples leave it open; those that are taken then, beside them, do not."""
    asked: list[float] = []

    def sample(*_: object, budget_seconds: float, taken: Samples | None = None, **options: object) -> Samples:
        asked.append(budget_seconds)
        unclear = np.array([[10.0, 8.0]] * 3 + [[10.0, 12.0]] * 3)
        return unclear if taken is None else np.concatenate([taken, [[10.0, 8.0]] * 60])

    monkeypatch.setattr(latency, "take_samples", sample)
    model = parse(NETWORK.format(height=4))

    found = compare_latency(model, model, Deploy(), {}, seed=0, budget_seconds=2)

    assert asked == [2, 8]
    assert found.ratio.high < 1
    assert found.original.samples == 66


def test_samples_taken_before_come_first() -> None:
    machine = FakeMachine(a=10)
    before = np.full((20, 1), 7.0)

    samples = take_samples(
        machine.runs,
        seed=0,
        budget_seconds=1e9,
        enough=lambda taken: len(taken) >= 30,
        clock=machine.clock,
        wall=machine.clock,
        taken=before,
    )

    np.testing.assert_allclose(samples, [*[[7.0]] * 20, *[[10.0]] * 10])


def test_a_table_of_networks_has_one_sample_each_a_round(parse: Parse) -> None:
    models = {name: parse(NETWORK.format(height=4)) for name in ("whole", "cut", "other")}

    found = time_models(models, Deploy(), {}, seed=0, budget_seconds=60, rounds_max=30)

    assert list(found) == list(models)
    assert {len(samples) for samples in found.values()} == {30}
    assert all((samples > 0).all() for samples in found.values())


def test_the_feed_has_the_deployed_batch_and_is_the_same_for_a_seed(parse: Parse) -> None:
    model = parse(NETWORK.format(height=4))

    first, again, other = (random_feed(model, Deploy(batch=5), {}, seed)["image"] for seed in (1, 1, 2))

    assert first.shape == (5, 3, 4, 4)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_feed_has_the_networks_own_type(parse: Parse) -> None:
    model = parse("agraph (uint8[n, 4] x, float16[n, 4] y) => (float16[n, 4] z) { z = Relu(y) }")

    feed = random_feed(model, Deploy(batch=2), {}, seed=0)

    assert {name: array.dtype for name, array in feed.items()} == {"x": np.uint8, "y": np.float16}


def test_a_network_that_opens_but_does_not_run_is_refused(parse: Parse) -> None:
    """The batch is open at the input and fixed inside, as careless exports have it."""
    model = parse("agraph (float[n, 2] x) => (float[m, 2] y) <int64[2] one = {1, 2}> { y = Reshape(x, one) }")

    with pytest.raises(ModelError, match="cannot run the network on 'x' of 3 x 2"):
        compare_latency(model, model, Deploy(batch=3), {}, seed=0, budget_seconds=1)


def test_open_sizes_are_given_or_refused(parse: Parse) -> None:
    model = parse(NETWORK.format(height="h"))

    assert random_feed(model, Deploy(), {"image": (3, 9, 4)}, seed=0)["image"].shape == (1, 3, 9, 4)
    with pytest.raises(RecipeInvalid, match="leaves sizes open"):
        random_feed(model, Deploy(), {}, seed=0)


def test_a_fixed_batch_that_is_not_the_deployed_one_is_refused(parse: Parse) -> None:
    model = parse("agraph (float[4, 2] x) => (float[4, 2] y) { y = Relu(x) }")

    with pytest.raises(RecipeInvalid, match=r'"deploy": \{"batch": 4\}') as caught:
        compare_latency(model, model, Deploy(batch=8), {}, seed=0, budget_seconds=1)

    assert caught.value.where == "deploy.batch"
