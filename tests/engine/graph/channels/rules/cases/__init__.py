"""Tiny networks, one for each way in which channels pass an operator, with the sizes of the groups that they have."""

from __future__ import annotations

from engine.graph.channels.rules import RULES
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.graph.channels.rules.cases import (
    attention,
    convolutions,
    elementwise,
    layout,
    norms,
    numbers,
    pictures,
    pieces,
    products,
    reductions,
)
from tests.engine.graph.channels.rules.cases.drafting import Case

CASES: dict[str, Case] = {
    **elementwise.CASES,
    **convolutions.CASES,
    **products.CASES,
    **norms.CASES,
    **layout.CASES,
    **pieces.CASES,
    **pictures.CASES,
    **reductions.CASES,
    **numbers.CASES,
    **attention.CASES,
}


def normalised(name: str) -> Model:
    return normalise(CASES[name].build())


def operators_in_cases() -> set[str]:
    """Return the operators of RULES that occur in the cases, before normalising."""
    return {node.op_type for case in CASES.values() for node in case.build().graph} & set(RULES)
