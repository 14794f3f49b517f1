"""Is any narrowed layer a trap: what `auto` chose, timed in turn with one group of it wider by a step of the grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.channels.anatomy import without_repair
from benchmarks.channels.cases import Case
from benchmarks.channels.cuts import Told
from benchmarks.trained.memory import Row
from engine.formats import load
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.measure.latency import Samples, time_models
from engine.measure.statistics import paired_ratio
from engine.recipe import Deploy

SECONDS = 120.0
WIDTH = 0.005
CHOSEN = "as chosen"


def one_step_wider(case: Case, network: Path, parent: Row) -> Row:
    """Return the least time of a wider network over the chosen one's, None where no group is narrower."""
    told, multiple = parent.get("cuts"), parent.get("width_multiple")
    if not told or not told["channels"] or not multiple:
        return _row(None, None, 0, multiple)
    plain = merge(fold(normalise(load(network))))
    models = {CHOSEN: without_repair(plain, told)}
    models |= {group: without_repair(plain, widened(told, group, multiple)) for group in told["channels"]}
    ratios = _ratios(models, Deploy(batch=case.batch, threads=case.threads), case.seed)
    fastest = min(ratios, key=lambda group: ratios[group])
    return _row(round(ratios[fastest], 4), fastest, len(ratios), multiple) | {"wider_ratios": ratios}


def widened(told: Told, group: str, multiple: int) -> Told:
    """Return the same cuts, `group` keeping so many channels more; which ones does not matter to the clock."""
    channels = {name: gone for name, gone in told["channels"].items() if name != group}
    left = told["channels"][group][multiple:]
    return {"units": told["units"], "channels": channels | ({group: left} if left else {})}


def _ratios(models: Mapping[str, Model], deploy: Deploy, seed: int) -> dict[str, float]:
    samples = time_models(models, deploy, {}, seed=seed, budget_seconds=SECONDS, enough=lambda t: _narrow(t, seed))
    return {
        name: round(paired_ratio(taken, samples[CHOSEN], seed=seed).value, 4)
        for name, taken in samples.items()
        if name != CHOSEN
    }


def _narrow(samples: Mapping[str, Samples], seed: int) -> bool:
    ratios = [paired_ratio(taken, samples[CHOSEN], seed=seed) for name, taken in samples.items() if name != CHOSEN]
    return all((ratio.high - ratio.low) / 2 <= WIDTH for ratio in ratios)


def _row(least: float | None, group: str | None, timed: int, multiple: int | None) -> Row:
    found: Row = {"least_wider_ratio": least, "fastest_wider": group, "groups_timed": timed}
    return found | {"width_multiple": multiple, "error": None}
