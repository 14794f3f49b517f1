"""From a target to what would be left of a network, by arithmetic alone: each figure with the interval that it is in.

A target is met by removing a part of the work. Which units that takes along is for the job to find out, so the
parameters lie between those of the units that hold fewest for their work and those that hold most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from engine.recipe import LatencyMs, LatencyRatio, MacsRatio, ParametersRatio, Pareto, Recipe, Units

ROUGH: Final = 0.15
"""How far the parts of latency, work and parameters that go may be from one another, where nothing better is known."""


class Range(NamedTuple):
    """A value and the interval that it is expected in."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Unit:
    """What can be removed whole: its part of the network's work and of its parameters, both 0 to 1."""

    work: float
    parameters: float


@dataclass(frozen=True)
class Left:
    """What would be left, as parts of the original; `latency` is None where the target cannot be set against it."""

    latency: Range | None
    work: Range
    parameters: Range


def predict(recipe: Recipe, units: Sequence[Unit], original_ms: float | None) -> Left:
    """Return what the recipe's target would leave; `original_ms` is the original's measured latency, where known."""
    target, step = recipe.target, _step(units, recipe.method.cuts)
    if isinstance(target, ParametersRatio):
        parameters = Range(target.parameters_ratio, max(target.parameters_ratio - step, 0.0), target.parameters_ratio)
        return Left(_rough(parameters), _rough(parameters), parameters)
    if isinstance(target, Pareto):
        work = Range(0.7, min(step, 0.3), 1.0)
        return Left(work, work, _parameters_left(work, units, recipe.method.cuts))
    if isinstance(target, Units):
        work = _without(units, target.units)
        return Left(_rough(work), work, _parameters_left(work, units, recipe.method.cuts))
    if isinstance(target, MacsRatio):
        work = Range(target.macs_ratio, max(target.macs_ratio - step, 0.0), target.macs_ratio)
        return Left(_rough(work), work, _parameters_left(work, units, recipe.method.cuts))
    ratio = _latency_ratio(target, original_ms)
    latency = None if ratio is None else Range(ratio, max(ratio - step, 0.0), min(ratio * 1.02, 1.0))
    work = Range(0.7, 0.2, 1.0) if latency is None else _rough(latency)
    return Left(latency, work, _parameters_left(work, units, recipe.method.cuts))


def units_of(analysis: dict[str, Any]) -> list[Unit]:
    """Return the branches of a network whose work was counted: they do not overlap."""
    macs, parameters = analysis.get("macs") or 0, analysis.get("parameters") or 0
    if not macs or not parameters:
        return []
    found = [unit for unit in analysis.get("units", []) if unit["kind"] == "branch" and unit.get("macs")]
    return [Unit(unit["macs"] / macs, unit["parameters"] / parameters) for unit in found]


def _latency_ratio(target: LatencyRatio | LatencyMs, original_ms: float | None) -> float | None:
    if isinstance(target, LatencyRatio):
        return target.latency_ratio
    return None if original_ms is None else min(target.latency_ms / original_ms, 1.0)


def _step(units: Sequence[Unit], cuts: frozenset[str]) -> float:
    """Return by how much a target may be overshot: by a unit, or by a little where channels go."""
    return 0.05 if "channels" in cuts or not units else min(max(unit.work for unit in units), 0.3)


def _rough(given: Range) -> Range:
    return Range(given.value, max(given.low - ROUGH, 0.0), min(given.high + ROUGH, 1.0))


def _without(units: Sequence[Unit], count: int) -> Range:
    """Return the work that is left when so many units go, whichever they are."""
    work = sorted(unit.work for unit in units)
    count = min(count, len(work))
    if not work:
        return Range(1.0, 0.0, 1.0)
    return Range(1 - count * sum(work) / len(work), 1 - sum(work[len(work) - count :]), 1 - sum(work[:count]))


def _parameters_left(work: Range, units: Sequence[Unit], cuts: frozenset[str]) -> Range:
    """Return the parameters that are left when so much work is."""
    if "channels" in cuts or not units:
        return _rough(work)
    gone = [_gone(1 - part, units, densest_first) for part in work[1:] for densest_first in (True, False)]
    left = [1 - part for part in gone]
    total = sum(unit.work for unit in units)
    value = 1 - sum(unit.parameters for unit in units) * min((1 - work.value) / total, 1.0)
    return Range(min(max(value, min(left)), max(left)), min(left), max(left))


def _gone(work: float, units: Sequence[Unit], densest_first: bool) -> float:
    """Return the parameters that go with so much work, from the units that hold most of them for it, or fewest."""
    gone, rest = 0.0, work
    for unit in sorted(units, key=lambda unit: unit.parameters / unit.work, reverse=densest_first):
        part = min(rest / unit.work, 1.0)
        gone, rest = gone + part * unit.parameters, rest - part * unit.work
        if rest <= 0:
            break
    return gone
