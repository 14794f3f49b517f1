"""The verdict follows the measurement: never success without speed, never a floor that was not seen to hold."""

from __future__ import annotations

import pytest

from engine.outcome import OneNetwork, judge, judge_zeros
from engine.recipe import LatencyMs, LatencyRatio, MacsRatio, ParametersRatio, Units
from engine.report import Cost, Fidelity, Interval, Latency, LatencyComparison, Outcome, Zeros

BEFORE = Cost(parameters=100, macs=1000, size_bytes=400)
AFTER = Cost(parameters=80, macs=700, size_bytes=320)


def timed(value: float, spread: float = 0.01) -> LatencyComparison:
    return LatencyComparison(
        original=Latency(latency_ms_p50=10.0, latency_ms_p95=11.0, samples=50),
        delivered=Latency(latency_ms_p50=10.0 * value, latency_ms_p95=11.0 * value, samples=50),
        ratio=Interval(value=value, low=value - spread, high=value + spread),
    )


def agreeing(share: float) -> Fidelity:
    interval = Interval(value=share, low=share - 0.05, high=min(share + 0.05, 1.0))
    return Fidelity(images=100, agreement=interval, kl_divergence=0.1, outputs=())


@pytest.mark.parametrize(
    ("target", "ratio", "expected"),
    [
        (LatencyRatio(latency_ratio=0.7), 0.69, Outcome.TARGET_MET),
        (LatencyRatio(latency_ratio=0.7), 0.713, Outcome.TARGET_MET),
        (LatencyRatio(latency_ratio=0.7), 0.72, Outcome.TARGET_MISSED_BEST_EFFORT),
        (LatencyRatio(latency_ratio=0.7), 0.995, Outcome.NO_GAIN),
        (LatencyMs(latency_ms=7.0), 0.70, Outcome.TARGET_MET),
        (LatencyMs(latency_ms=6.0), 0.70, Outcome.TARGET_MISSED_BEST_EFFORT),
        (MacsRatio(macs_ratio=0.7), 0.8, Outcome.TARGET_MET),
        (MacsRatio(macs_ratio=0.6), 0.8, Outcome.TARGET_MISSED_BEST_EFFORT),
        (MacsRatio(macs_ratio=0.7), 1.1, Outcome.NO_GAIN),
        (ParametersRatio(parameters_ratio=0.8), 0.9, Outcome.TARGET_MET),
        (Units(units=3), 0.9, Outcome.TARGET_MET),
        (Units(units=4), 0.9, Outcome.TARGET_MISSED_BEST_EFFORT),
    ],
)
def test_what_was_measured_decides(target: OneNetwork, ratio: float, expected: Outcome) -> None:
    verdict = judge(target, timed(ratio), BEFORE, AFTER, units_cut=3, fidelity=agreeing(0.9))

    assert verdict.outcome is expected
    assert f"{ratio:.2f}" in verdict.summary


@pytest.mark.parametrize(
    ("units", "groups", "said"),
    [
        (2, 0, "with 2 units fewer."),
        (1, 1, "with 1 unit fewer and 1 group narrower."),
        (0, 3, "with 3 groups narrower."),
        (2, 3, "with 2 units fewer and 3 groups narrower."),
    ],
)
def test_what_is_met_says_what_went(units: int, groups: int, said: str) -> None:
    target = LatencyRatio(latency_ratio=0.7)

    verdict = judge(target, timed(0.69), BEFORE, AFTER, units_cut=units, fidelity=None, groups_narrowed=groups)

    assert verdict.outcome is Outcome.TARGET_MET
    assert verdict.summary.endswith(said)


@pytest.mark.parametrize(("fidelity", "met"), [(agreeing(0.96), True), (agreeing(0.94), False), (None, False)])
def test_a_floor_holds_only_where_it_was_measured(fidelity: Fidelity | None, met: bool) -> None:
    target = LatencyRatio(latency_ratio=0.7, min_agreement=0.95)

    verdict = judge(target, timed(0.69), BEFORE, AFTER, units_cut=3, fidelity=fidelity)

    assert (verdict.outcome is Outcome.TARGET_MET) == met


@pytest.mark.parametrize(
    ("target", "ratio", "compressed", "expected"),
    [
        (ParametersRatio(parameters_ratio=0.6), 1.0, 60, Outcome.TARGET_MET),
        (ParametersRatio(parameters_ratio=0.3), 1.0, 60, Outcome.TARGET_MISSED_BEST_EFFORT),
        (ParametersRatio(parameters_ratio=0.6, min_agreement=0.95), 1.0, 60, Outcome.TARGET_MISSED_BEST_EFFORT),
        (LatencyRatio(latency_ratio=0.7), 1.0, 60, Outcome.TARGET_MISSED_BEST_EFFORT),
        (ParametersRatio(parameters_ratio=0.6), 1.0, 100, Outcome.NO_GAIN),
        (ParametersRatio(parameters_ratio=0.6), 1.1, 60, Outcome.NO_GAIN),
    ],
)
def test_zeros_are_a_gain_where_the_file_compresses_better(
    target: OneNetwork, ratio: float, compressed: int, expected: Outcome
) -> None:
    zeros = Zeros(
        pattern="one_by_one",
        zeros=50,
        weights=90,
        original_compressed_bytes=100,
        delivered_compressed_bytes=compressed,
        ratio_to_dense=Interval(value=1.0, low=0.99, high=1.01),
        meaning="",
    )

    verdict = judge_zeros(target, timed(ratio), BEFORE, BEFORE, zeros, agreeing(0.9))

    assert verdict.outcome is expected


@pytest.mark.parametrize("groups", [0, 6])
def test_what_is_missed_says_what_is_gone(groups: int) -> None:
    verdict = judge(LatencyRatio(latency_ratio=0.5), timed(0.7), BEFORE, AFTER, 1, agreeing(0.9), groups)

    assert verdict.summary.startswith("Missed: asked for 0.5 of the latency; it takes 0.700 ")
    assert verdict.summary.endswith("with 1 unit fewer and 6 groups narrower." if groups else "with 1 unit fewer.")


@pytest.mark.parametrize(("agreement", "advised"), [(0.07, True), (0.49, True), (0.5, False), (0.9, False)])
def test_a_network_cut_beyond_use_is_said_to_be_that_with_what_to_ask_for(agreement: float, advised: bool) -> None:
    verdict = judge(LatencyRatio(latency_ratio=0.05), timed(0.067, 0.001), BEFORE, AFTER, 3, agreeing(agreement))

    assert "0.067 of the original's latency (0.066 to 0.068)" in verdict.summary
    assert ("ask for less" in verdict.summary) == advised
    assert (f"{agreement:.0%} of unseen images only" in verdict.summary) == advised
