"""One network under one load: two tables of shares, sets of units predicted from both, and the same sets measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing.sets import Shares, predicted_ratio, sets_to_try
from engine.formats import load
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import Unit, blocks, contains, find_units, signature
from engine.measure.latency import compare_latency
from engine.measure.unit_table import latency_shares
from engine.recipe import Deploy

MEASURED_WIDTH = 0.004

Row = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """How long each step may take: a table as a job takes it, a measurement longer than that."""

    deploy: Deploy
    drawn: int
    seed: int
    table_seconds: float
    measure_seconds: float


class Contract:
    """A network, its units that are whole blocks, and what is predicted and measured of them."""

    def __init__(self, network: Path, trial: Trial) -> None:
        self.upload, self.trial = load(network), trial
        self.model: Model = merge(fold(normalise(self.upload)))
        found = blocks(find_units(self.model))
        self.units = {unit.name: unit for unit in found if not any(contains(outer, unit) for outer in found)}

    def shares(self, seed: int) -> Shares:
        """Return a table of shares, as a job of this seed would measure it."""
        return latency_shares(
            self.model,
            list(self.units.values()),
            self.trial.deploy,
            {},
            seed=seed,
            budget_seconds=self.trial.table_seconds,
        )

    def rows(self) -> Iterator[Row]:
        """Yield what was predicted and what was measured of each set, `error` relative to what was measured."""
        first, second = (self.shares(seed) for seed in (self.trial.seed, self.trial.seed + 1))
        for name, units in sets_to_try(first, self.trial.drawn, self.trial.seed).items():
            predicted, again = predicted_ratio(first, units), predicted_ratio(second, units)
            measured = self._measured([self.units[unit] for unit in units])
            yield {
                "set": name,
                "units": len(units),
                "predicted": round(predicted, 4),
                "predicted_again": round(again, 4),
                **measured,
                "error": round(predicted / measured["measured"] - 1, 4),
                "error_again": round(again / measured["measured"] - 1, 4),
            }

    def kinds(self, shares: Shares) -> Iterator[Row]:
        """Yield one row for the units of one signature and one figure, with the interval of a single unit's share."""
        alike: dict[tuple[str, float], list[str]] = {}
        for name, unit in self.units.items():
            alike.setdefault((signature(self.model, unit), shares[name].value), []).append(name)
        for names in alike.values():
            share = shares[names[0]]
            yield {"first": names[0], "units": len(names), "share": share.value, "low": share.low, "high": share.high}

    def _measured(self, units: list[Unit]) -> Row:
        """Time the upload and what is left of it in turn."""
        found = compare_latency(
            self.upload,
            merge(remove_units(self.model, units)),
            self.trial.deploy,
            {},
            seed=self.trial.seed + 2,
            budget_seconds=self.trial.measure_seconds,
            until_width=MEASURED_WIDTH,
        )
        ratio = {"measured": found.ratio.value, "low": found.ratio.low, "high": found.ratio.high}
        return {name: round(value, 4) for name, value in ratio.items()}
