"""Axes put together out of pieces, and pieces taken of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import TOKENS, Case, adding_to, between_convs, between_layers
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


@case(4, 6)
def concatenated() -> Model:
    return between_convs(lambda d, x: d.node("Concat", x, d.conv("image", 3, 6), x, axis=1), wide=4, out=14)


@case(3, 5)
def split_by_input() -> Model:
    return between_convs(lambda d, x: _swap(d, x, d.constant([3, 5], np.int64)))


@case(4)
def split_in_equal_halves() -> Model:
    """The halves meet, so they go together, and stay equal; their number is all that the node says."""

    def middle(draft: Draft, x: str) -> str:
        first = draft.node("Split", x, outputs=2, axis=1, num_outputs=2)
        return draft.node("Mul", first, draft.node("Sigmoid", f"{first}_1"))

    return between_convs(middle, out=4)


@case(4, 4)
def split_by_number() -> Model:
    return between_convs(lambda d, x: _swap(d, x, num_outputs=2))


@case(3, 5, name="split_by_attribute")
def split_11() -> Model:
    return between_convs(lambda d, x: _swap(d, x, split=[3, 5]), opset=11)


@case(4, 4, name="split_without_sizes")
def split_equal_11() -> Model:
    return between_convs(_swap, opset=11)


def _swap(draft: Draft, x: str, *sizes: str, **attributes: Any) -> str:
    first = draft.node("Split", x, *sizes, outputs=2, axis=1, **attributes)
    return draft.node("Concat", f"{first}_1", draft.node("Relu", first), axis=1)


@case(2, 3, 3)
def sliced() -> Model:
    def middle(draft: Draft, x: str) -> str:
        end = np.iinfo(np.int64).max
        parts = [(-3, end), (0, 2), (2, 5)]
        return draft.node("Concat", *(_slice(draft, x, start, stop) for start, stop in parts), axis=1)

    return between_convs(middle)


@case()
def sliced_in_steps() -> Model:
    return between_convs(lambda d, x: _slice(d, x, 0, 8, 2), out=4)


def _slice(draft: Draft, x: str, start: int, stop: int, step: int = 1) -> str:
    numbers = [draft.constant([number], np.int64) for number in (start, stop, 1, step)]
    return draft.node("Slice", x, *numbers)


@case(4)
def rotated_by_halves() -> Model:
    """Rotary embedding spelled out: number c of the first half turns with number c of the second."""

    def middle(draft: Draft, x: str) -> str:
        halves = draft.node("Split", x, outputs=2, axis=2, num_outputs=2)
        turned = draft.node("Concat", draft.node("Neg", f"{halves}_1"), halves, axis=2)
        cos, sin = draft.weight(TOKENS, 8), draft.weight(TOKENS, 8)
        return draft.node("Add", draft.node("Mul", x, cos), draft.node("Mul", turned, sin))

    return between_layers(middle)


@case(3, 5)
def gathered_in_another_order() -> Model:
    return between_convs(lambda d, x: d.node("Gather", x, d.constant([3, 4, 5, 6, -1, 0, 1, 2], np.int64), axis=1))


@case(3, 4)
def picked_one() -> Model:
    """A single number takes the axis away: the channel that it picks stays, whatever goes before it."""

    def middle(draft: Draft, x: str) -> str:
        one = draft.node("Gather", x, draft.constant(3, np.int64), axis=1)
        return draft.node("Add", x, draft.node("Unsqueeze", one, draft.constant([1], np.int64)))

    return between_convs(middle)


@case(8)
def packed_and_picked() -> Model:
    """Three numbers of eight channels each in one layer, picked by their place."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Reshape", x, draft.constant([0, 0, 3, 8], np.int64))
        q, k, v = (draft.node("Gather", y, draft.constant(i, np.int64), axis=2) for i in range(3))
        return draft.node("Add", draft.node("Mul", q, k), v)

    return between_layers(middle, wide=24, out=8)


@case(6)
def looked_up_in_tables() -> Model:
    """Rows of a table are chosen when the network runs, so they stay; what each row holds may go."""

    def middle(draft: Draft, x: str) -> str:
        row = draft.node("Cast", draft.node("ArgMax", x, axis=2, keepdims=0), to=TensorProto.INT64)
        pairs = draft.node("Unsqueeze", row, draft.constant([2], np.int64))
        found = draft.node("Gather", draft.weight(8, 6), row), draft.node("GatherND", draft.weight(8, 6), pairs)
        return draft.node("Mul", *found)

    return between_layers(middle, out=6)


@case(8)
def sorted_and_scattered_over_tokens() -> Model:
    def middle(draft: Draft, x: str) -> str:
        best = draft.node("TopK", x, draft.constant([2], np.int64), outputs=2, axis=1)
        again = draft.node("GatherElements", x, f"{best}_1", axis=1)
        y = draft.node(
            "ScatterElements", draft.node("CumSum", x, draft.constant(1, np.int64)), f"{best}_1", again, axis=1
        )
        pairs = draft.constant([[[0, 1]], [[1, 3]]], np.int64)
        update = draft.node("GatherND", x, pairs)
        return draft.node("ScatterND", y, pairs, update)

    return between_layers(middle)


@case(8, 2)
def padded() -> Model:
    """Zeros in front and behind are channels that may go as well; those in front are one, which stays."""
    return between_convs(lambda d, x: d.node("Pad", x, d.constant([0, 1, 0, 0, 0, 2, 0, 0], np.int64)), out=11)


@case(8)
def padded_by_reflection() -> Model:
    def middle(draft: Draft, x: str) -> str:
        return draft.node(
            "Pad", x, draft.constant([1, 1, 1, 1], np.int64), "", draft.constant([2, 3], np.int64), mode="reflect"
        )

    return between_convs(middle)


@case(8, 3)
def tiled() -> Model:
    return between_convs(lambda d, x: d.node("Tile", x, d.constant([1, 3, 1, 1], np.int64)), out=24)
