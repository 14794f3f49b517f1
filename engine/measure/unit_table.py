"""What each unit costs in time, as a part of the whole: measured by leaving it out, isomorphic units together."""

from __future__ import annotations

from collections.abc import Sequence

from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, signature
from engine.measure.feeds import Shapes
from engine.measure.latency import time_models
from engine.measure.statistics import paired_ratio
from engine.recipe import Deploy
from engine.report import Interval

ROUNDS_MAX = 120


def latency_shares(
    model: Model, units: Sequence[Unit], deploy: Deploy, image_shapes: Shapes, *, seed: int, budget_seconds: float
) -> dict[str, Interval]:
    """Return each unit's part of the latency by name, with its interval, which may reach below zero.

    One unit is often lost in the noise: a machine at work gave -1 to +0.3 of the whole for the same one. Units of one
    signature do the same work, so all of a kind are left out at once and the difference is divided among them.
    """
    kinds: dict[str, list[Unit]] = {}
    for unit in units:
        kinds.setdefault(signature(model, unit), []).append(unit)
    candidates = {"": model} | {kind: merge(remove_units(model, members)) for kind, members in kinds.items()}
    samples = time_models(
        candidates, deploy, image_shapes, seed=seed, budget_seconds=budget_seconds, rounds_max=ROUNDS_MAX
    )
    shares: dict[str, Interval] = {}
    for kind, members in kinds.items():
        left = paired_ratio(samples[kind], samples[""], seed=seed)
        share = Interval(
            value=(1 - left.value) / len(members),
            low=(1 - left.high) / len(members),
            high=(1 - left.low) / len(members),
        )
        shares |= {unit.name: share for unit in members}
    return shares
