"""Which plans are taken: sets of cuts priced and timed within the time there is, and kept for a second attempt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from engine.checkpoint import Checkpoint
from engine.clock import Clock
from engine.graph.channels.groups import Group
from engine.planning.front import plan_front
from engine.planning.ledger import FRONT_REACH, FRONT_SPARE, Ledger
from engine.planning.plans import Plan, best_plan, plan_cuts
from engine.planning.pools import pools
from engine.planning.times import Times
from engine.pricing.sets import price_set
from engine.pricing.study import Study
from engine.progress import Tell
from engine.recipe import LatencyMs, LatencyRatio, Pareto
from engine.search import Priced, Purse, choose
from engine.subject import Subject

PRICES_MAX, FRONT_PRICES_MAX = 24, 48
"""Sets of units that are priced for one target, and for a front."""
PRICES_SHARE, PRICES_SECONDS_MAX = 0.1, 120.0
"""The part of the budget that prices of sets may take."""
SPARE_PRICES_MAX, SPARE_SHARE = 8, 0.05
"""Further prices, and their part of the budget, for plans that are corrected when all others are used up."""
HOPELESS = 2.0
"""A pool whose first plan is priced so many times as high as another's is not searched: prices are few."""


def choose_plans(
    ledger: Ledger,
    groups: Sequence[Group],
    subject: Subject,
    study: Callable[[], Study],
    times: Times,
    clock: Clock,
    tell: Tell,
    checkpoint: Checkpoint,
) -> tuple[Plan, ...]:
    """Return the plan or plans that an earlier attempt came to, else those that are found now, timed and priced.

    Raises TargetInfeasible where all that may go is not enough.
    """
    plans = _kept(ledger, checkpoint) or _found(ledger, groups, subject, study(), times, clock, tell)
    _keep(plans, checkpoint)
    return plans


def _found(
    ledger: Ledger, groups: Sequence[Group], subject: Subject, study: Study, times: Times, clock: Clock, tell: Tell
) -> tuple[Plan, ...]:
    target, priced = subject.recipe.target, _priced(ledger, subject, study, clock)
    open_to = promising(
        [ledger.only(pool) for pool in pools(ledger.cuts, {each.name: each for each in groups})], priced
    )
    if isinstance(target, Pareto):
        plans = plan_front(open_to[0], priced, times.saving, math.ceil(FRONT_SPARE * target.pareto))
    else:
        measured = times.saving if isinstance(target, LatencyRatio | LatencyMs) else None
        plans = [best_plan(ledger, [plan_cuts(each, priced, measured, tell) for each in open_to], target)]
    times.prices, times.spare_prices = priced.usual.counted, priced.spare.counted
    times.keep()
    return tuple(plan.beside(times.plain_ratio) for plan in plans)


def promising(ledgers: Sequence[Ledger], priced: Priced) -> list[Ledger]:
    """Return the pools by the price of their plan of least summed harm, the least first, without hopeless ones.

    Who is searched first has most of the prices. For a front, which needs no saving, plans of the reach that makes one
    of whole blocks alone are compared.
    """
    if len(ledgers) == 1:
        return list(ledgers)
    harms = [_first_harm(ledger, priced) for ledger in ledgers]
    order = sorted(range(len(ledgers)), key=lambda place: harms[place])
    return [ledgers[place] for place in order if harms[place] <= HOPELESS * harms[order[0]]]


def _first_harm(ledger: Ledger, priced: Priced) -> float:
    """Return what the first plan of a pool harms, summed where no price is left; infinite where all is not enough."""
    names = choose(ledger.candidates(), ledger.needed or FRONT_REACH)
    if names is None:
        return math.inf
    price = priced.ask(frozenset(names))
    return sum(ledger.harm[name] for name in names) if price is None else price


def _priced(ledger: Ledger, subject: Subject, study: Study, clock: Clock) -> Priced:
    """Allow as many prices as the time does, or as many as the table that was brought says were asked.

    In a short time none: what single cuts harm is added up. So a table of a short job says nothing of a longer one.
    """
    price, table = price_set(study), subject.recipe.latency_table
    if subject.allowance.is_short:
        calls, seconds, spare = 0, 0.0, Purse(0)
    elif table is None or table.is_coarse:
        calls = FRONT_PRICES_MAX if isinstance(subject.recipe.target, Pareto) else PRICES_MAX
        seconds = clock.part(PRICES_SHARE, PRICES_SECONDS_MAX)
        spare = Purse(SPARE_PRICES_MAX, clock.part(SPARE_SHARE, PRICES_SECONDS_MAX))
    else:
        calls, seconds, spare = table.prices, math.inf, Purse(table.spare_prices)
    return Priced(lambda names: price(ledger.named(sorted(names))), calls, seconds, spare)


def _kept(ledger: Ledger, checkpoint: Checkpoint) -> tuple[Plan, ...]:
    kept = checkpoint.read_json("plans") or {"plans": []}
    return tuple(
        Plan(ledger.named(plan["cuts"]), plan["predicted_latency_ratio"], plan["harm"]) for plan in kept["plans"]
    )


def _keep(plans: Sequence[Plan], checkpoint: Checkpoint) -> None:
    lines = [
        {
            "cuts": [cut.name for cut in plan.cuts],
            "predicted_latency_ratio": plan.predicted_latency_ratio,
            "harm": plan.harm,
        }
        for plan in plans
    ]
    checkpoint.write_json("plans", {"plans": lines})
