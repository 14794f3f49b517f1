"""Latency where it counts: in ONNX Runtime, at the user's provider, threads and batch, both networks in turn.

Estimator and clock were chosen by trial: two copies of one network, whose ratio is 1, on two cores beside programs that
burn the processor, sort memory, or come and go. Furthest from 1 in 75 to 290 pairs: ratio of minima 10.6 %, of 10 %
quantiles 7.8 %, of medians 5.7 %, of means 4.2 %; median of the ratios within pairs 5.5 %, but with a third of the
spread of the others on a quiet machine; the same by the clock of the running thread 0.8 %, and that clock agrees with
the wall's within 0.2 % when nothing else runs.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.execution.runtime import open_session
from engine.graph.model import Model
from engine.measure.feeds import Shapes, cannot_run, random_feed
from engine.measure.statistics import paired_ratio
from engine.recipe import Deploy
from engine.report import Latency, LatencyComparison

Run = Callable[[], Any]
Clock = Callable[[], int]  # nanoseconds
ClockName = Literal["wall", "thread"]
Samples = npt.NDArray[np.float64]  # (rounds, networks), milliseconds of one run

CLOCKS: dict[ClockName, Clock] = {"wall": time.perf_counter_ns, "thread": time.thread_time_ns}

WARM_UPS = 3
SAMPLE_NS_MIN = 2_000_000  # a shorter run is timed in bundles: the clock and the scheduler need something to hold on to
ROUNDS_MIN = 6  # fewer pairs tell nothing about their spread
ROUNDS_BEFORE_ASKING = 30
DOUBT_TIMES, DOUBT_SECONDS_MAX = 4, 20.0
"""How much longer than asked it may take to tell which of two networks is faster, if nothing else is said."""
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
    doubt_seconds: float = DOUBT_SECONDS_MAX,
) -> LatencyComparison:
    """Time `a` and `b` in turn, A B or B A by chance, until the ratio b / a is known to +- `until_width` or time is up.

    Where it is then still open which of the two is faster, `doubt_seconds` more, four times as long again at most, may
    be spent on that. The ratio is the median over pairs taken side by side. Inputs come from host memory and outputs
    return to it, as a caller of the runtime has it.
    """
    runs = [_open_run(model, deploy, image_shapes, seed) for model in (a, b)]
    clock = clock_for(deploy)

    def narrow_enough(samples: Samples) -> bool:
        ratio = paired_ratio(samples[:, 1], samples[:, 0], seed=seed)
        return (ratio.high - ratio.low) / 2 <= until_width * ratio.value

    def told_apart(samples: Samples) -> bool:
        ratio = paired_ratio(samples[:, 1], samples[:, 0], seed=seed)
        return narrow_enough(samples) or not ratio.low <= 1.0 <= ratio.high

    samples = take_samples(runs, seed=seed, budget_seconds=budget_seconds, enough=narrow_enough, clock=CLOCKS[clock])
    if doubt_seconds > 0 and not told_apart(samples):
        samples = take_samples(
            runs,
            seed=seed + 1,
            budget_seconds=min(DOUBT_TIMES * budget_seconds, doubt_seconds),
            enough=told_apart,
            clock=CLOCKS[clock],
            taken=samples,
        )
    return LatencyComparison(
        original=_summary(samples[:, 0]),
        delivered=_summary(samples[:, 1]),
        ratio=paired_ratio(samples[:, 1], samples[:, 0], seed=seed),
        clock=clock,
    )


def clock_for(deploy: Deploy) -> ClockName:
    """Return the clock that tells the network's time and no other program's.

    With one thread on the CPU the caller's thread does all the work, and its own clock stands still while another
    program has the core. Several threads and accelerators leave only the clock on the wall.
    """
    return "thread" if deploy.provider == "cpu" and deploy.threads == 1 else "wall"


def time_models(
    models: Mapping[str, Model],
    deploy: Deploy,
    image_shapes: Shapes,
    *,
    seed: int,
    budget_seconds: float,
    rounds_max: int = 200,
    enough: Callable[[Mapping[str, Samples]], bool] = lambda taken: False,
) -> dict[str, Samples]:
    """Return the milliseconds of each network, one sample a round, in rounds of random order, until they are `enough`.

    The i-th samples of any two were taken side by side: give them to `paired_ratio`. All sessions are open at once, so
    memory grows with the number of networks.
    """
    runs = [_open_run(model, deploy, image_shapes, seed) for model in models.values()]
    samples = take_samples(
        runs,
        seed=seed,
        budget_seconds=budget_seconds,
        enough=lambda taken: len(taken) >= rounds_max or enough(dict(zip(models, taken.T, strict=True))),
        clock=CLOCKS[clock_for(deploy)],
    )
    return dict(zip(models, samples.T, strict=True))


def _open_run(model: Model, deploy: Deploy, image_shapes: Shapes, seed: int) -> Run:
    """Open a session once and return what runs it on one fixed batch; raises ModelError where it does not run."""
    feed = random_feed(model, deploy, image_shapes, seed)
    session = open_session(model, provider=deploy.provider, threads=deploy.threads)
    try:
        session.run(None, feed)
    except Exception as error:  # the runtime's errors share no public base class
        raise cannot_run(feed, error) from error
    return functools.partial(session.run, None, feed)


def take_samples(
    runs: Sequence[Run],
    *,
    seed: int,
    budget_seconds: float,
    enough: Callable[[Samples], bool],
    clock: Clock,
    wall: Clock = time.perf_counter_ns,
    taken: Samples | None = None,
) -> Samples:
    """Time every run once a round, in random order, until `enough` or the budget is spent; at least six rounds.

    `enough` is asked after 30 rounds and then at growing intervals. Samples are read from `clock`, the budget from
    `wall`. Those that were `taken` before come first.
    """
    generator = np.random.default_rng(seed)
    deadline = wall() + int(budget_seconds * 1e9)
    bundles = [_bundle_size(run, clock) for run in runs]
    rounds: list[list[float]] = [] if taken is None else taken.tolist()
    ask_at = ROUNDS_BEFORE_ASKING
    while len(rounds) < ROUNDS_MIN or wall() < deadline:
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
