"""Latency where it counts: in ONNX Runtime, at the user's provider, threads and batch, both networks in turn."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.execution.runtime import open_session
from engine.graph.model import Model
from engine.measure.feeds import Shapes, random_feed
from engine.measure.statistics import paired_ratio
from engine.recipe import Deploy
from engine.report import Latency, LatencyComparison

Run = Callable[[], Any]
Clock = Callable[[], int]  # nanoseconds
Samples = npt.NDArray[np.float64]  # (rounds, networks), milliseconds of one run

WARM_UPS = 3
SAMPLE_NS_MIN = 2_000_000  # a shorter run is timed in bundles: the clock and the scheduler need something to hold on to
ROUNDS_MIN = 6  # the median of six pairs lies within their range with 97 %
ROUNDS_BEFORE_ASKING = 20
ASK_GROWTH = 1.3  # looking after every round would stop at the luckiest moment


def compare_latency(
    a: Model,
    b: Model,
    deploy: Deploy,
    image_shapes: Shapes,
    *,
    seed: int,
    budget_seconds: float,
    until_width: float = 0.02,
) -> LatencyComparison:
    """Time `a` and `b` in turn, A B or B A by chance, until the ratio b / a is known to +- `until_width` or time is up.

    The ratio is the median over pairs taken side by side. Inputs come from host memory and outputs return to it, as a
    caller of the runtime has it.
    """
    runs = [_open_run(model, deploy, image_shapes, seed) for model in (a, b)]

    def narrow_enough(samples: Samples) -> bool:
        ratio = paired_ratio(samples[:, 1], samples[:, 0], seed=seed)
        return (ratio.high - ratio.low) / 2 <= until_width * ratio.value

    samples = take_samples(runs, seed=seed, budget_seconds=budget_seconds, enough=narrow_enough)
    return LatencyComparison(
        original=_summary(samples[:, 0]),
        delivered=_summary(samples[:, 1]),
        ratio=paired_ratio(samples[:, 1], samples[:, 0], seed=seed),
    )


def time_models(
    models: Mapping[str, Model],
    deploy: Deploy,
    image_shapes: Shapes,
    *,
    seed: int,
    budget_seconds: float,
    rounds_max: int = 200,
) -> dict[str, Samples]:
    """Return the milliseconds of each network, one sample a round, in rounds of random order.

    The i-th samples of any two were taken side by side: give them to `paired_ratio`. All sessions are open at once, so
    memory grows with the number of networks.
    """
    runs = [_open_run(model, deploy, image_shapes, seed) for model in models.values()]
    samples = take_samples(
        runs, seed=seed, budget_seconds=budget_seconds, enough=lambda taken: len(taken) >= rounds_max
    )
    return dict(zip(models, samples.T, strict=True))


def _open_run(model: Model, deploy: Deploy, image_shapes: Shapes, seed: int) -> Run:
    """Open a session once and return what runs it on one fixed batch."""
    session = open_session(model, provider=deploy.provider, threads=deploy.threads)
    return functools.partial(session.run, None, random_feed(model, deploy, image_shapes, seed))


def take_samples(
    runs: Sequence[Run],
    *,
    seed: int,
    budget_seconds: float,
    enough: Callable[[Samples], bool],
    clock: Clock = time.perf_counter_ns,
) -> Samples:
    """Time every run once a round, in random order, until `enough` or the budget is spent; at least six rounds.

    `enough` is asked after 20 rounds and then at growing intervals.
    """
    generator = np.random.default_rng(seed)
    deadline = clock() + int(budget_seconds * 1e9)
    bundles = [_bundle_size(run, clock) for run in runs]
    rounds: list[list[float]] = []
    ask_at = ROUNDS_BEFORE_ASKING
    while len(rounds) < ROUNDS_MIN or clock() < deadline:
        rounds.append(_one_round(runs, bundles, generator, clock))
        if len(rounds) >= ask_at:
            if enough(np.array(rounds)):
                break
            ask_at = math.ceil(len(rounds) * ASK_GROWTH)
    return np.array(rounds)


def _bundle_size(run: Run, clock: Clock) -> int:
    """Warm up, and return how many runs make one sample."""
    fastest_ns = min(_time(run, 1, clock) for _ in range(WARM_UPS))
    return math.ceil(SAMPLE_NS_MIN / max(fastest_ns, 1))


def _one_round(
    runs: Sequence[Run], bundles: Sequence[int], generator: np.random.Generator, clock: Clock
) -> list[float]:
    sample_ms = [0.0] * len(runs)
    for index in generator.permutation(len(runs)):
        sample_ms[index] = _time(runs[index], bundles[index], clock) / bundles[index] / 1e6
    return sample_ms


def _time(run: Run, times: int, clock: Clock) -> int:
    start = clock()
    for _ in range(times):
        run()
    return clock() - start


def _summary(sample_ms: npt.NDArray[np.float64]) -> Latency:
    p50, p95 = np.quantile(sample_ms, (0.5, 0.95))
    return Latency(latency_ms_p50=float(p50), latency_ms_p95=float(p95), samples=len(sample_ms))
