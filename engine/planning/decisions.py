"""The report's lines: each unit, what its loss would cost, what keeping it costs, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.graph.units import Unit, contains
from engine.planning.ledger import Ledger
from engine.planning.plans import Plan
from engine.report import UnitDecision


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
        outside = not any(contains(outer, unit) for outer in ledger.units)
        return "the recipe keeps it" if outside else "it lies inside another unit"
    return (
        "its saving is not surely above zero" if ledger.savings[unit.name] <= 0 else "others save enough with less harm"
    )
