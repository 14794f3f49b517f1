"""The verdict on a finished job: met, missed or no gain; in one word and in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.front import Choice, Measured
from engine.recipe import LatencyMs, LatencyRatio, MacsRatio, ParametersRatio, Pareto, Units
from engine.report import Cost, Fidelity, Interval, LatencyComparison, Outcome, Zeros

TOLERANCE = 0.02
"""A measured time counts as met up to 2 % above what was asked: two repeats of one measurement differ by as much."""

AGREEMENT_LEAST = 0.5
"""A network that agrees with its original on fewer of the unseen images is of no use, and the summary says so."""

OneNetwork = LatencyRatio | LatencyMs | MacsRatio | ParametersRatio | Units
"""The targets that one network meets or misses."""


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    summary: str


def judge(
    target: OneNetwork,
    latency: LatencyComparison,
    before: Cost,
    after: Cost,
    units_cut: int,
    fidelity: Fidelity | None,
    groups_narrowed: int = 0,
) -> Verdict:
    """Judge what was measured; a result that is not surely faster is no gain, whatever else it reached."""
    ratio = latency.ratio
    speed = _speed(ratio)
    if ratio.high >= 1.0:
        return _no_gain(f"the cut network takes {speed}, so it is not surely faster", ratio)
    reached, asked = _reached(target, latency, before, after, units_cut)
    if target.min_agreement is not None and (shortfall := _below_floor(target.min_agreement, fidelity)):
        return Verdict(Outcome.TARGET_MISSED_BEST_EFFORT, f"Missed: {shortfall}. It takes {speed}.")
    gone = _gone(units_cut, groups_narrowed)
    if reached:
        return Verdict(Outcome.TARGET_MET, f"Met: asked for {asked}; it takes {speed}, with {gone}.")
    said = f"Missed: asked for {asked}; it takes {speed}, with {gone}."
    return Verdict(Outcome.TARGET_MISSED_BEST_EFFORT, f"{said}{_worth(fidelity)}")


def _worth(fidelity: Fidelity | None) -> str:
    """Say what to do where a network was cut as far as it goes and hardly says what the original does any more."""
    if fidelity is None or fidelity.agreement is None or fidelity.agreement.value >= AGREEMENT_LEAST:
        return ""
    return (
        f" It agrees with the original on {fidelity.agreement.value:.0%} of unseen images only: ask for less, for a "
        '"min_agreement" as well, or for {"pareto": 8} to see what there is to be had.'
    )


def _no_gain(found: str, ratio: Interval) -> Verdict:
    """Say what was found, and why it may be so."""
    if ratio.low < 1:
        why = "The gain is smaller than what could be told from noise: cut more, or measure on a quieter machine"
    else:
        why = "What was left out takes no time where it was measured: deploy.threads and deploy.batch decide that"
    return Verdict(Outcome.NO_GAIN, f"No gain: {found}. {why}. The original is delivered.")


def judge_zeros(
    target: OneNetwork,
    latency: LatencyComparison,
    before: Cost,
    after: Cost,
    zeros: Zeros,
    fidelity: Fidelity | None,
) -> Verdict:
    """Judge zeros among the weights: they are a gain where the file compresses better and is not surely slower.

    Only the number of parameters that are not zero can be a target of theirs.
    """
    ratio, small = latency.ratio, zeros.delivered_compressed_bytes / zeros.original_compressed_bytes
    if ratio.low > 1:
        found = f"the network takes {_speed(ratio)}"
        return Verdict(Outcome.NO_GAIN, f"No gain: {found}. The original is delivered.")
    if small >= 1:
        return Verdict(Outcome.NO_GAIN, "No gain: the file compresses no better. The original is delivered.")
    said = f"compressed, the file takes {small:.2f} of the original's; zeros make nothing faster"
    if target.min_agreement is not None and (shortfall := _below_floor(target.min_agreement, fidelity)):
        return Verdict(Outcome.TARGET_MISSED_BEST_EFFORT, f"Missed: {shortfall}; {said}.")
    counted = after.model_copy(update={"parameters": after.parameters - zeros.zeros})
    reached, asked = _reached(target, latency, before, counted, 0)
    if reached:
        return Verdict(Outcome.TARGET_MET, f"Met: asked for {asked}; {said}.")
    return Verdict(Outcome.TARGET_MISSED_BEST_EFFORT, f"Missed: asked for {asked}; {said}.")


def judge_front(target: Pareto, found: Sequence[Measured], choice: Choice) -> Verdict:
    """Judge a front: enough networks must be kept, and where a floor was asked for, one of them must hold it."""
    if not choice.kept:
        best = found[choice.model].ratio
        return _no_gain(f"of {len(found)} networks none is surely faster; the fastest takes {_speed(best)}", best)
    slowest, fastest = (found[choice.kept[end]].ratio.value for end in (0, -1))
    model, count = found[choice.model], len(choice.kept)
    networks = "1 network" if count == 1 else f"{count} networks"
    said = (
        f"asked for {target.pareto}; delivered {networks} at {slowest:.2f} to {fastest:.2f} of the original's latency, "
        f"of which model.onnx, {choice.why}, takes {model.ratio.value:.2f}"
    )
    if target.min_agreement is not None and (model.agreement is None or model.agreement < target.min_agreement):
        floor = f"none is known to agree on {target.min_agreement:g} of unseen images"
        return Verdict(Outcome.TARGET_MISSED_BEST_EFFORT, f"Missed: {floor}; {said}.")
    if count < target.pareto:
        return Verdict(Outcome.TARGET_MISSED_BEST_EFFORT, f"Missed: {said}.")
    return Verdict(Outcome.TARGET_MET, f"Met: {said}.")


def _speed(ratio: Interval) -> str:
    return f"{ratio.value:.3f} of the original's latency ({ratio.low:.3f} to {ratio.high:.3f})"


def _reached(
    target: OneNetwork, latency: LatencyComparison, before: Cost, after: Cost, units_cut: int
) -> tuple[bool, str]:
    match target:
        case LatencyRatio(latency_ratio=ratio):
            return latency.ratio.value <= ratio * (1 + TOLERANCE), f"{ratio:g} of the latency"
        case LatencyMs(latency_ms=limit_ms):
            return latency.delivered.latency_ms_p50 <= limit_ms * (1 + TOLERANCE), f"{limit_ms:g} ms"
        case MacsRatio(macs_ratio=ratio):
            return after.macs <= ratio * before.macs, f"{ratio:g} of the multiply-accumulates"
        case ParametersRatio(parameters_ratio=ratio):
            return after.parameters <= ratio * before.parameters, f"{ratio:g} of the parameters"
        case Units(units=count):
            return units_cut >= count, f"{_units(count)} fewer"


def _gone(units_cut: int, groups_narrowed: int) -> str:
    """Say what the network lacks: units, channels of groups, or both."""
    narrower = f"{groups_narrowed} {'group' if groups_narrowed == 1 else 'groups'} narrower"
    if not groups_narrowed:
        return f"{_units(units_cut)} fewer"
    return f"{_units(units_cut)} fewer and {narrower}" if units_cut else narrower


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"


def _below_floor(floor: float, fidelity: Fidelity | None) -> str | None:
    """Say how the agreement misses its floor; an agreement that could not be measured does not meet it."""
    if fidelity is None or fidelity.agreement is None:
        return f"the agreement could not be measured, and {floor:g} was asked for; send real images"
    value = fidelity.agreement.value
    return f"it agrees with the original on {value:.3f} of unseen images, below {floor:g}" if value < floor else None
