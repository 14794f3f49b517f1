"""The report's lines: each unit, what its loss would cost, what keeping it costs, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.graph.channels.groups import Group
from engine.graph.cuts import Narrowing, narrowings_in, units_in
from engine.graph.units import Unit, contains
from engine.planning.ledger import Ledger
from engine.planning.plans import Plan
from engine.report import GroupDecision, UnitDecision


def decisions(all_units: Sequence[Unit], ledger: Ledger, plan: Plan, *, gained: bool) -> tuple[UnitDecision, ...]:
    """Return the report's line on every unit that was looked at.

    Where nothing was gained the original is delivered, so all units are kept, and what was tried is said.
    """
    return tuple(_decision(unit, ledger, plan, gained) for unit in all_units)


def _decision(unit: Unit, ledger: Ledger, plan: Plan, gained: bool) -> UnitDecision:
    harm, share = ledger.harm.get(unit.name), ledger.shares.get(unit.name)
    score = harm / share.value if harm is not None and share is not None and share.low > 0 else None
    chosen = any(unit.name == other.name or contains(other, unit) for other in plan.units)
    return UnitDecision(
        name=unit.name,
        nodes=unit.nodes,
        recoverability=harm,
        latency_share=share,
        score=score,
        decision="cut" if chosen and gained else "kept",
        reason=_reason(unit, ledger, plan, chosen, gained),
    )


def _reason(unit: Unit, ledger: Ledger, plan: Plan, chosen: bool, gained: bool) -> str:
    if chosen and not gained:
        return "its loss was tried with others, and the network was not surely faster"
    if any(contains(outer, unit) for outer in plan.units):
        return "it lies inside another unit that goes"
    return "among the least harmful set that saves enough" if chosen else _reason_to_stay(unit, ledger)


def _reason_to_stay(unit: Unit, ledger: Ledger) -> str:
    if unit.name not in ledger.harm:
        outside = not any(contains(outer, unit) for outer in units_in(ledger.cuts))
        return "the recipe keeps it" if outside else "it lies inside another unit"
    return (
        "its saving is not surely above zero" if ledger.savings[unit.name] <= 0 else "others save enough with less harm"
    )


def group_decisions(groups: Sequence[Group], ledger: Ledger, plan: Plan, *, gained: bool) -> tuple[GroupDecision, ...]:
    """Return the report's line on every group of channels that was looked at."""
    steps: dict[str, list[Narrowing]] = {group.name: [] for group in groups}
    for step in narrowings_in(ledger.cuts):
        steps[step.group].append(step)
    chosen = {step.group: step for step in plan.narrowings}
    return tuple(_group(group, steps[group.name], chosen.get(group.name), ledger, gained) for group in groups)


def _group(
    group: Group, steps: Sequence[Narrowing], chosen: Narrowing | None, ledger: Ledger, gained: bool
) -> GroupDecision:
    told = chosen or (steps[0] if steps else None)
    return GroupDecision(
        name=group.name,
        channels=group.size,
        kept=chosen.kept if chosen is not None and gained else group.size,
        recoverability=None if told is None else ledger.harm[told.name],
        latency_share=None if told is None else ledger.shares[told.name],
        reason=_group_reason(steps, chosen, gained),
    )


def _group_reason(steps: Sequence[Narrowing], chosen: Narrowing | None, gained: bool) -> str:
    if not steps:
        return "it is too narrow for the width grid, or the recipe keeps it"
    if chosen is None:
        return "others save enough with less harm"
    if not gained:
        return "its loss was tried with others, and the network was not surely faster"
    return "among the least harmful set that saves enough"
