"""Sizes and positions that become numbers."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import Case, adding_to, between_convs, between_layers
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


@case(6)
def sizes_as_numbers() -> Model:
    """Who is told how many channels there are has to find them all."""

    def middle(draft: Draft, x: str) -> str:
        told = draft.node("Cast", draft.node("Size", x), to=TensorProto.FLOAT)
        return draft.node("Div", draft.conv(x, 8, 6), told)

    return between_convs(middle, out=6)


@case(8)
def positions_as_numbers() -> Model:
    """A ramp, zeros, an identity, a triangle and places of non-zeros, all along the tokens."""

    def middle(draft: Draft, x: str) -> str:
        count = draft.node("Gather", draft.node("Shape", x), draft.constant(1, np.int64))
        zero, one = draft.constant(0, np.int64), draft.constant(1, np.int64)
        ramp = draft.node("Range", zero, count, one)
        marks = draft.node("OneHot", ramp, count, draft.constant([0.0, 1.0]))
        square = draft.node("Concat", *[draft.node("Unsqueeze", count, draft.constant([0], np.int64))] * 2, axis=0)
        marks = draft.node("Add", marks, draft.node("EyeLike", draft.node("ConstantOfShape", square), dtype=1))
        places = draft.node("Cast", draft.node("NonZero", marks), to=TensorProto.FLOAT)
        scale = draft.node("ReduceMax", places, keepdims=0)
        mixed = draft.node("MatMul", draft.node("Trilu", marks, upper=0), x)
        return draft.node("Mul", mixed, scale)

    return between_layers(middle)
