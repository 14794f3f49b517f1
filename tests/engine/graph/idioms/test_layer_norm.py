"""LayerNorm in the spellings of exporters is one operator; norms over other axes are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engine.graph.idioms.spelling import assert_left_alone, assert_written_as, finished
from tests.networks import Draft


def mean(draft: Draft, x: str, axes: list[int], keep: int = 1) -> str:
    if draft.opset >= 18:
        return draft.node("ReduceMean", x, draft.constant(axes, np.int64), keepdims=keep)
    return draft.node("ReduceMean", x, axes=axes, keepdims=keep)


def spelled(draft: Draft, axes: list[int], square: str = "Pow", root: str = "Div", again: bool = False) -> str:
    """Return the normed image; `again` works the difference out a second time."""
    centred = draft.node("Sub", "image", mean(draft, "image", axes))
    squared = (
        draft.node("Pow", centred, draft.constant(2.0)) if square == "Pow" else draft.node("Mul", centred, centred)
    )
    variance = draft.node("Add", mean(draft, squared, axes), draft.constant(1e-5))
    if again:
        centred = draft.node("Sub", "image", mean(draft, "image", axes))
    if root in ("Pow", "nearly the Pow"):
        power = draft.constant(-0.5 if root == "Pow" else -0.5004)
        return draft.node("Mul", centred, draft.node("Pow", variance, power))
    if root == "Reciprocal":
        return draft.node("Mul", draft.node("Reciprocal", draft.node("Sqrt", variance)), centred)
    return draft.node("Div", centred, draft.node("Sqrt", variance))


def affine(draft: Draft, x: str, *shape: int) -> str:
    return draft.node("Add", draft.node("Mul", x, draft.weight(*shape, scale=1.0)), draft.weight(*shape, scale=1.0))


@pytest.mark.parametrize("opset", [11, 16, 18])
@pytest.mark.parametrize(
    "how", [{}, {"square": "Mul"}, {"root": "Reciprocal"}, {"root": "Pow"}, {"again": True}], ids=str
)
def test_spellings(how: dict[str, Any], opset: int) -> None:
    draft = Draft(opset=opset)
    plain = assert_written_as(finished(draft, affine(draft, spelled(draft, [-1], **how), 16)), "LayerNormalization")

    assert [node.op_type for node in plain.graph] == ["LayerNormalization"]


@pytest.mark.parametrize("shape", [(), (16,), (16, 16)], ids=str)
def test_more_axes_and_no_affine(shape: tuple[int, ...]) -> None:
    """Over two axes, with scale and bias of both, of one of them alone, which stay beside it, and with none."""
    draft = Draft()
    x = spelled(draft, [2, 3])
    plain = assert_written_as(finished(draft, affine(draft, x, *shape) if shape else x), "LayerNormalization")

    left = ["LayerNormalization", "Mul", "Add"] if shape == (16,) else ["LayerNormalization"]
    assert [node.op_type for node in plain.graph] == left


def test_a_norm_behind_a_norm() -> None:
    draft = Draft()
    first = affine(draft, spelled(draft, [-1]), 16)
    centred = draft.node("Sub", first, mean(draft, first, [-1]))
    variance = draft.node("Add", mean(draft, draft.node("Mul", centred, centred), [-1]), draft.constant(1e-6))
    second = affine(draft, draft.node("Div", centred, draft.node("Sqrt", variance)), 16)

    assert_written_as(finished(draft, second), "LayerNormalization", count=2)


@pytest.mark.parametrize("axes", [[1], [1, 3], [0, 1, 2, 3]], ids=str)
def test_other_axes_are_left_alone(axes: list[int]) -> None:
    draft = Draft()
    assert_left_alone(finished(draft, spelled(draft, axes)), "LayerNormalization")


def test_another_power_of_the_variance_is_left_alone() -> None:
    draft = Draft()
    assert_left_alone(finished(draft, spelled(draft, [-1], root="nearly the Pow")), "LayerNormalization")


def test_a_difference_that_is_read_elsewhere_is_left_alone() -> None:
    draft = Draft()
    normed = spelled(draft, [-1])
    centred = draft.nodes[1].output[0]

    assert_left_alone(finished(draft, draft.node("Add", normed, centred)), "LayerNormalization")
