"""Hard swish in the spellings of exporters is one operator; whatever only looks like it is left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.graph.idioms.spelling import assert_left_alone, assert_written_as, finished
from tests.networks import Draft

Spelling = Callable[[Draft, str], str]


def nearly_sixths(draft: Draft, x: str) -> str:
    return draft.node("Mul", draft.node("Mul", x, clip(draft, x)), draft.constant(0.1667))


def nearly_the_slope(draft: Draft, x: str) -> str:
    return draft.node("Mul", x, draft.node("HardSigmoid", x, alpha=0.1668, beta=0.5))


def nearly_six(draft: Draft, x: str) -> str:
    return draft.node("Div", draft.node("Mul", x, clip(draft, x, most=6.001)), draft.constant(6.0))


def clip(draft: Draft, x: str, offset: float = 3.0, most: float = 6.0) -> str:
    return draft.node("Clip", draft.node("Add", x, draft.constant(offset)), draft.constant(0.0), draft.constant(most))


def product_first(draft: Draft, x: str) -> str:
    return draft.node("Div", draft.node("Mul", x, clip(draft, x)), draft.constant(6.0))


def quotient_first(draft: Draft, x: str) -> str:
    return draft.node("Mul", draft.node("Div", clip(draft, x), draft.constant(6.0)), x)


def by_sixths(draft: Draft, x: str) -> str:
    return draft.node("Mul", x, draft.node("Mul", clip(draft, x), draft.constant(1 / 6)))


def hard_sigmoid(draft: Draft, x: str) -> str:
    return draft.node("Mul", x, draft.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def gate_of_another(draft: Draft, x: str) -> str:
    """The gate of a squeeze and excite: another value's sigmoid."""
    return draft.node("Mul", x, draft.node("HardSigmoid", draft.node("GlobalAveragePool", x), alpha=1 / 6, beta=0.5))


def steeper(draft: Draft, x: str) -> str:
    """The slope that ONNX takes for want of another."""
    return draft.node("Mul", x, draft.node("HardSigmoid", x))


def other_offset(draft: Draft, x: str) -> str:
    return draft.node("Div", draft.node("Mul", x, clip(draft, x, offset=2.0)), draft.constant(6.0))


def read_twice(draft: Draft, x: str) -> str:
    gate = draft.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    return draft.node("Add", draft.node("Mul", x, gate), gate)


LOOKALIKES = [gate_of_another, steeper, other_offset, read_twice, nearly_sixths, nearly_the_slope, nearly_six]


@pytest.mark.parametrize("opset", [11, 14, 18])
@pytest.mark.parametrize("spelling", [product_first, quotient_first, by_sixths, hard_sigmoid])
def test_spellings(spelling: Spelling, opset: int) -> None:
    draft = Draft(opset=opset)
    assert_written_as(finished(draft, spelling(draft, "image")), "HardSwish")


@pytest.mark.parametrize("spelling", LOOKALIKES)
def test_what_only_looks_like_it(spelling: Spelling) -> None:
    draft = Draft()
    assert_left_alone(finished(draft, spelling(draft, "image")), "HardSwish")
