"""A plan for one target: priced as a whole, measured as a whole, and corrected by what was measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.graph.cuts import Cut, Narrowing, narrowings_in, units_in
from engine.graph.units import Unit
from engine.planning.ledger import IN_TIME, Ledger
from engine.recipe import Target
from engine.search import Interplay, Priced, most, refine

TRIES = 5
"""Plans that are timed as a whole."""
ROUNDS_MAX = 8
"""Searches for them: what is asked anew may lead to a plan that was timed already."""
CLOSE = 0.01
"""A plan that saves this part more than is needed is not worth another measurement."""

SPARE_A_PLAN = 2
"""Prices that each further plan may ask for when all others are used up: without any it would be the first again."""

MeasureCuts = Callable[[Sequence[Cut]], float]
"""The part of the latency that losing all of these was measured to save."""


@dataclass(frozen=True)
class Plan:
    """What goes, units and channels, the latency ratio that is expected of that, and the harm of all together."""

    cuts: tuple[Cut, ...]
    predicted_latency_ratio: float
    harm: float

    def beside(self, plain_ratio: float) -> Plan:
        """Return the same plan with the ratio to the upload, of whose latency the plain form takes `plain_ratio`."""
        return dataclasses.replace(self, predicted_latency_ratio=self.predicted_latency_ratio * plain_ratio)

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(units_in(self.cuts))

    @property
    def narrowings(self) -> tuple[Narrowing, ...]:
        return tuple(narrowings_in(self.cuts))


def plan_cuts(
    ledger: Ledger,
    priced: Priced,
    measured_saving: MeasureCuts | None,
    tell: Callable[[float, str], None],
) -> Plan:
    """Return the least harmful plan that saves enough, within the calls that `priced` has left and a few spare ones.

    Shares do not quite add up: the runtime fuses what became neighbours. So where `measured_saving` can tell what a
    plan really saves, more or less is asked for by what was found, up to five plans; the least harmful plan that was
    found to save enough wins, else the one that saved most.
    """
    aim, spare = _Aim(ledger.needed), 0
    tried: dict[tuple[str, ...], float] = {}
    for _ in range(ROUNDS_MAX if measured_saving else 1):
        tell(len(tried) / TRIES, f"plan {len(tried) + 1}")
        with priced.sparing(spare):
            found = refine(ledger.candidates(), aim.asked, priced)
        names = tuple(found or most(ledger.candidates()))
        predicted, spare = ledger.saving_of(names), 0
        if names not in tried:
            tried[names] = measured_saving(ledger.named(names)) if measured_saving else predicted
            spare = SPARE_A_PLAN
        aim.learn(predicted, tried[names])
        is_close = ledger.needed <= tried[names] <= ledger.needed * (1 + CLOSE)
        if not found or is_close or len(tried) == TRIES or aim.is_settled:
            break
    best = _best(tried, ledger, priced)
    ratio = 1 - (tried[best] if measured_saving else ledger.share_of(best))
    return Plan(ledger.named(best), ratio, harm_of(ledger, priced, best))


class _Aim:
    """What to ask of the table so that the clock gains what is needed.

    In proportion to what the last plan was found to save, as long as that lies between what was asked to no avail and
    what was asked and brought too much; else half-way between these. `is_settled` says that nothing is left to ask for:
    the two are close, or the table is right and a plan saves too much because cuts are coarse.
    """

    def __init__(self, needed: float) -> None:
        self.asked = self._needed = needed
        self._too_little, self._too_much = -math.inf, math.inf
        self.is_settled = False

    def learn(self, predicted: float, saved: float) -> None:
        """Ask for more or less: a plan that the table says saves `predicted` was found to save `saved`."""
        if saved < self._needed:
            self._too_little = max(self._too_little, self.asked)
        else:
            self._too_much = min(self._too_much, self.asked)
        guess = self._needed * predicted / max(saved, 0.1 * predicted, 1e-12)
        if self._too_little < guess < self._too_much:
            self.asked = guess
        elif self._too_much == math.inf:
            self.asked = self._too_little * (1 + CLOSE)
        elif self._too_little == -math.inf:
            self.is_settled = True
        else:
            self.asked = (self._too_little + self._too_much) / 2
        self.is_settled |= self._too_much - self._too_little < CLOSE * self._needed


def best_plan(ledger: Ledger, plans: Sequence[Plan], target: Target) -> Plan:
    """Return the least harmful of several plans that save enough, else the one that saves most."""

    def saved(plan: Plan) -> float:
        if isinstance(target, IN_TIME):
            return 1 - plan.predicted_latency_ratio
        return ledger.saving_of([cut.name for cut in plan.cuts])

    enough = [plan for plan in plans if saved(plan) >= ledger.needed - 1e-9]
    return min(enough, key=lambda plan: plan.harm) if enough else max(plans, key=saved)


def harm_of(ledger: Ledger, priced: Priced, names: Sequence[str]) -> float:
    """Return the price of a set, or what the prices so far lead to expect of it."""
    known = priced.known.get(frozenset(names))
    if known is not None:
        return known
    interplay = Interplay(ledger.candidates(), priced)
    return interplay.of(interplay.taken(names))


def _best(tried: Mapping[tuple[str, ...], float], ledger: Ledger, priced: Priced) -> tuple[str, ...]:
    enough = [names for names, saved in tried.items() if saved >= ledger.needed - 1e-9]
    if enough:
        return min(enough, key=lambda names: harm_of(ledger, priced, names))
    return max(tried, key=lambda names: tried[names])
