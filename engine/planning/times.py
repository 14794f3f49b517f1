"""The times of a job: what the recipe or an earlier attempt brought, and what was measured since; all of it a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.errors import RecipeInvalid
from engine.graph.cuts import Cut, Narrowing, remove
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.units import Unit
from engine.measure.environment import describe
from engine.measure.latency import compare_latency, time_models
from engine.measure.unit_table import latency_shares
from engine.measure.width_grid import measured_multiple
from engine.measure.width_table import width_shares
from engine.pricing.narrowing import Ladder
from engine.recipe import LatencyTable, PlanTime, UnitTimes
from engine.report import Interval, LatencyComparison
from engine.subject import Subject

SURELY_FASTER = 0.97


class Times:
    """Asks the clock once for each thing that is timed, and the table where it knows already."""

    def __init__(self, subject: Subject, names: Collection[str], clock: Clock, checkpoint: Checkpoint) -> None:
        """`names` are those of the network's units and groups, which a table that was brought may speak of."""
        self._subject, self._clock, self._checkpoint = subject, clock, checkpoint
        kept = checkpoint.read_json("times")
        self.brought = subject.recipe.latency_table if kept is None else LatencyTable.model_validate(kept)
        self.environment = describe(subject.recipe.deploy).model_dump()
        self.prices = 0 if self.brought is None else self.brought.prices
        self.spare_prices = 0 if self.brought is None else self.brought.spare_prices
        self._multiple = None if self.brought is None else self.brought.width_multiple
        self._shares: dict[str, UnitTimes] = {}
        self._plans: dict[frozenset[str], float] = {}
        if self.brought is not None:
            _require_known(self.brought, names)
            if subject.allowance.is_short or not self.brought.is_coarse:  # coarse times are taken anew
                self._shares = {name: row for row in self.brought.units for name in row.units}
                self._plans = {frozenset(plan.units): plan.saving for plan in self.brought.plans}
        self.original_ms = self._time_original() if self.brought is None else self.brought.original_ms
        self.plain_ratio = self._time_plain() if self.brought is None else self.brought.plain_ratio

    def table(self) -> LatencyTable:
        return LatencyTable(
            original_ms=self.original_ms,
            units=tuple(dict.fromkeys(self._shares.values())),
            plans=tuple(PlanTime(units=tuple(sorted(names)), saving=saving) for names, saving in self._plans.items()),
            prices=self.prices,
            spare_prices=self.spare_prices,
            width_multiple=self._multiple,
            plain_ratio=self.plain_ratio,
            is_coarse=self._subject.allowance.is_short,
            environment=self.environment,
        )

    def notes(self) -> tuple[str, ...]:
        """Say where the table that was brought was measured elsewhere."""
        if self.brought is None:
            return ()
        differ = [
            f"{key}: {self.brought.environment[key]} there, {here} here"
            for key, here in self.environment.items()
            if key in self.brought.environment and self.brought.environment[key] != here
        ]
        return (f"The latency table was measured elsewhere ({'; '.join(differ)}).",) if differ else ()

    def shares(self, units: Sequence[Unit]) -> dict[str, Interval]:
        """Return each unit's part of the latency by name; those not known yet are timed together."""
        unknown = [unit for unit in units if unit.name not in self._shares]
        if unknown:
            found = latency_shares(
                self._subject.model,
                unknown,
                self._subject.recipe.deploy,
                self._subject.image_shapes,
                seed=self._subject.recipe.seed,
                budget_seconds=self._clock.part(0.06, 60),
                quickly=self._subject.allowance.is_short,
            )
            self._shares |= _rows(found)
            self.keep()
        return {unit.name: self._share(unit.name) for unit in units}

    def width_multiple(self) -> int:
        """Return what widths are multiples of where the network will run."""
        if self._multiple is None:
            deploy, seed = self._subject.recipe.deploy, self._subject.recipe.seed
            self._multiple = measured_multiple(deploy, seed=seed, budget_seconds=self._clock.part(0.02, 6))
            self.keep()
        return self._multiple

    def width_shares(self, ladders: Sequence[Ladder]) -> dict[str, Interval]:
        """Return the part of the latency that each step of these ladders saves, by name."""
        kinds: dict[str, list[Sequence[Narrowing]]] = {}
        for ladder in ladders:
            if any(step.name not in self._shares for step in ladder.steps):
                kinds.setdefault(ladder.kind, []).append(ladder.steps)
        if kinds:
            found = width_shares(
                self._subject.model,
                kinds,
                self._subject.recipe.deploy,
                self._subject.image_shapes,
                seed=self._subject.recipe.seed,
                budget_seconds=self._clock.part(0.06, 60),
                quickly=self._subject.allowance.is_short,
            )
            self._shares |= _rows(found)
            self.keep()
        return {step.name: self._share(step.name) for ladder in ladders for step in ladder.steps}

    def _share(self, name: str) -> Interval:
        row = self._shares[name]
        return Interval(value=row.share, low=row.low, high=row.high)

    def saving(self, cuts: Sequence[Cut]) -> float:
        """Return the part of the plain form's latency that losing all of these saves; it is timed as a whole."""
        names = frozenset(cut.name for cut in cuts)
        if names not in self._plans:
            cut = merge(remove(self._subject.model, cuts))
            seconds = self._clock.part(0.03, 10)
            found = measure_against_upload(self._subject, cut, seconds=seconds, until_width=0.008)
            self._plans[names] = 1 - found.ratio.value / self.plain_ratio
            self.keep()
        return self._plans[names]

    def keep(self) -> None:
        """Keep all times for a second attempt: measured anew they would be others."""
        self._checkpoint.write_json("times", self.table().model_dump())

    def _time_plain(self) -> float:
        """Return which part of the upload's time the plain form takes, 1 where that can be no other.

        An exporter that left norms unfolded, in a way that the runtime does not see through, has wasted time already.
        """
        upload, plain = self._subject.upload, self._subject.model
        if len(plain.graph) == len(upload.graph):
            return 1.0
        seconds = self._clock.part(0.02, 10)
        ratio = measure_against_upload(self._subject, plain, seconds=seconds, until_width=0.01).ratio
        return ratio.value if ratio.high < SURELY_FASTER else 1.0

    def _time_original(self) -> float:
        """Return the upload's median time for one batch in milliseconds."""
        samples = time_models(
            {"": self._subject.upload},
            self._subject.recipe.deploy,
            self._subject.image_shapes,
            seed=self._subject.recipe.seed,
            budget_seconds=self._clock.part(0.02, 5),
        )
        return float(np.median(samples[""]))


def measure_against_upload(
    subject: Subject, cut: Model, *, seconds: float, until_width: float, doubt_seconds: float = 0.0
) -> LatencyComparison:
    """Time a cut network in turn with the upload, where it will be deployed."""
    return compare_latency(
        subject.upload,
        cut,
        subject.recipe.deploy,
        subject.image_shapes,
        seed=subject.recipe.seed,
        budget_seconds=seconds,
        until_width=until_width,
        doubt_seconds=doubt_seconds,
    )


def _require_known(table: LatencyTable, names: Collection[str]) -> None:
    told = [name for row in table.units for name in row.units] + [name for plan in table.plans for name in plan.units]
    strange = [name for name in told if name not in names and name.rpartition(": ")[0] not in names]
    if strange:
        raise RecipeInvalid(
            f"The latency table speaks of '{strange[0]}', and this network has no unit or group of that name. "
            "Give the table of a report on this very network, or none.",
            where="latency_table",
        )


def _rows(shares: dict[str, Interval]) -> dict[str, UnitTimes]:
    """Return a row for each unit; those that were timed alike share one."""
    alike: dict[tuple[float, float, float], list[str]] = {}
    for name, share in shares.items():
        alike.setdefault((share.value, share.low, share.high), []).append(name)
    return {
        name: UnitTimes(units=tuple(names), share=value, low=low, high=high)
        for (value, low, high), names in alike.items()
        for name in names
    }
