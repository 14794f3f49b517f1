"""Reductions over the channels, and over all else."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import Case, adding_to, between_convs
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)

for _op in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSum", "ReduceSumSquare"):

    def _summed(op: str = _op) -> Model:
        """Over the channels, so that they end here."""

        def middle(draft: Draft, x: str) -> str:
            positive = draft.node("Exp", x)
            return draft.node("Mul", draft.conv(x, 8, 4), draft.node(op, positive, draft.constant([1], np.int64)))

        return between_convs(middle, out=4, opset=18)

    case(8, 4, name=_op)(_summed)

for _op in ("ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"):

    def _reduced(op: str = _op) -> Model:
        """Over the pixels; over the channels it would be no group at all."""
        return between_convs(lambda d, x: d.node("Mul", x, d.node(op, x, d.constant([2, 3], np.int64))))

    case(8, name=_op)(_reduced)


@case()
def mean_over_channels() -> Model:
    return between_convs(lambda d, x: d.node("Sub", x, d.node("ReduceMean", x, axes=[1])), opset=13)


@case(8)
def sum_by_attribute() -> Model:
    return between_convs(lambda d, x: d.node("Mul", x, d.node("ReduceSum", x, axes=[1, 2])), opset=11)


@case(6)
def extremes_over_channels() -> Model:
    """The place of the extreme channel; the channels have to stay, those of the next layer need not."""

    def middle(draft: Draft, x: str) -> str:
        place = draft.node("Add", draft.node("ArgMax", x, axis=1), draft.node("ArgMin", x, axis=1))
        return draft.node("Mul", draft.conv(x, 8, 6), draft.node("Cast", place, to=TensorProto.FLOAT))

    return between_convs(middle, out=6)
