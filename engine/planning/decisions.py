"""The report's lines: each unit, what its loss would cost, what keeping it costs, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.graph.channels.groups import Group
from engine.graph.cuts import Narrowing, contains, narrowings_in, units_in
from engine.graph.units import Unit
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


def group_decisions(
    groups: Sequence[Group], staying: Mapping[str, str], ledger: Ledger, plan: Plan, *, gained: bool
) -> tuple[GroupDecision, ...]:
    """Return the report's line on every group of channels; `staying` says of those that may not go why, by name."""
    steps: dict[str, list[Narrowing]] = {group.name: [] for group in groups}
    for step in narrowings_in(ledger.cuts):
        steps[step.group].append(step)
    chosen = {step.group: step for step in plan.narrowings}
    return tuple(
        _group(
            group,
            chosen.get(group.name) or next(iter(steps[group.name]), None),
            ledger,
            is_cut=group.name in chosen and gained,
            reason=staying.get(group.name) or _group_reason(steps[group.name], ledger, plan, gained),
        )
        for group in groups
    )


def _group(group: Group, told: Narrowing | None, ledger: Ledger, *, is_cut: bool, reason: str) -> GroupDecision:
    return GroupDecision(
        name=group.name,
        channels=group.size,
        kept=told.kept if told is not None and is_cut else group.size,
        recoverability=None if told is None else ledger.harm[told.name],
        latency_share=None if told is None else ledger.shares[told.name],
        reason=reason,
    )


def _group_reason(steps: Sequence[Narrowing], ledger: Ledger, plan: Plan, gained: bool) -> str:
    if not steps:
        return "it is too narrow for the width grid, or the method cannot rank its channels"
    if set(steps) & set(plan.narrowings):
        tried = "its loss was tried with others, and the network was not surely faster"
        return "among the least harmful set that saves enough" if gained else tried
    if gained and any(contains(unit, steps[0]) for unit in plan.units):
        return "it lies inside a unit that goes"
    unsure = all(ledger.savings[step.name] <= 0 for step in steps)
    return "its saving is not surely above zero" if unsure else "others save enough with less harm"
