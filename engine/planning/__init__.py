"""Which units go: the target's currency, what each unit saves in it, and plans that were priced and measured.

`times` and `choosing`, which measure, are not among the names here: who only reads a graph does not load torch for it.
"""

from __future__ import annotations

from engine.planning.decisions import decisions, group_decisions
from engine.planning.front import plan_front
from engine.planning.ledger import Ledger, is_easy, open_ledger, savings_in
from engine.planning.plans import Plan, best_plan, plan_cuts
from engine.planning.removable import (
    narrowable,
    normed,
    reasons_to_stay,
    removable,
    require_known,
    require_some,
    whole_blocks,
)

__all__ = [
    "Ledger",
    "Plan",
    "best_plan",
    "decisions",
    "group_decisions",
    "is_easy",
    "narrowable",
    "normed",
    "open_ledger",
    "plan_cuts",
    "plan_front",
    "reasons_to_stay",
    "removable",
    "require_known",
    "require_some",
    "savings_in",
    "whole_blocks",
]
