"""Element by element: one network for each operator, and channels that come out as they went in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import Case, adding_to, between_convs
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)

_UNARY: Mapping[str, int] = {
    **dict.fromkeys(
        [
            "Abs",
            "Atan",
            "Ceil",
            "Cos",
            "Elu",
            "Erf",
            "Exp",
            "Floor",
            "HardSigmoid",
            "LeakyRelu",
            "Neg",
            "Relu",
            "Round",
            "Selu",
        ],
        11,
    ),
    **dict.fromkeys(
        [
            "Sigmoid",
            "Sign",
            "Sin",
            "Sinh",
            "Softplus",
            "Softsign",
            "Tanh",
            "ThresholdedRelu",
            "Asinh",
            "Celu",
            "Shrink",
        ],
        12,
    ),
    **dict.fromkeys(["HardSwish", "Identity"], 14),
    **dict.fromkeys(["Mish", "Gelu"], 20),
    "Swish": 24,
}

for _op, _opset in _UNARY.items():
    case(8, name=_op)(lambda op=_op, opset=_opset: between_convs(lambda d, x: d.node(op, x), opset=opset))

for _op in ("Acos", "Asin", "Acosh", "Atanh", "Cosh", "Log", "Sqrt", "Reciprocal", "Tan"):

    def _guarded(op: str = _op) -> Model:
        """Numbers between a quarter and three quarters, above 1 for Acosh."""

        def middle(draft: Draft, x: str) -> str:
            half = draft.node("Mul", draft.node("Sigmoid", x), draft.constant(0.5))
            return draft.node(op, draft.node("Add", half, draft.constant(1.25 if op == "Acosh" else 0.25)))

        return between_convs(middle)

    case(8, name=_op)(_guarded)

for _op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "PRelu", "Mod"):

    def _with_row(op: str = _op) -> Model:
        """A constant for each channel, and then another activation with the same channels."""

        def middle(draft: Draft, x: str) -> str:
            row = draft.constant(draft.random.uniform(0.5, 1.5, (8, 1, 1)))
            more = {"fmod": 1} if op == "Mod" else {}
            y = draft.node(op, x, row, **more)
            return y if op == "PRelu" else draft.node(op, y, draft.node("Exp", x), **more)

        return between_convs(middle)

    case(8, name=_op)(_with_row)

for _op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):

    def _compared(op: str = _op) -> Model:
        def middle(draft: Draft, x: str) -> str:
            left, right = (draft.node("Round", draft.node("Mul", x, draft.constant(k))) for k in (1.0, 2.0))
            return draft.node("Where", draft.node(op, left, right), x, draft.node("Neg", x))

        return between_convs(middle)

    case(8, name=_op)(_compared)

for _op in ("And", "Or", "Xor", "Not", "IsNaN", "IsInf"):

    def _truth(op: str = _op) -> Model:
        def middle(draft: Draft, x: str) -> str:
            zero = draft.constant(0.0)
            left, right = draft.node("Greater", x, zero), draft.node("Less", x, draft.constant(0.5))
            reads = {"Not": [left], "IsNaN": [x], "IsInf": [x]}.get(op, [left, right])
            return draft.node("Add", x, draft.node("Cast", draft.node(op, *reads), to=TensorProto.FLOAT))

        return between_convs(middle)

    case(8, name=_op)(_truth)

for _op in ("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"):

    def _bits(op: str = _op) -> Model:
        def middle(draft: Draft, x: str) -> str:
            whole = draft.node("Cast", draft.node("Abs", draft.node("Mul", x, draft.constant(4.0))), to=2)
            one = draft.constant(np.ones((8, 1, 1)), np.uint8)
            more = {"direction": "LEFT"} if op == "BitShift" else {}
            found = draft.node(op, *([whole] if op == "BitwiseNot" else [whole, one]), **more)
            return draft.node("Cast", found, to=TensorProto.FLOAT)

        return between_convs(middle)

    case(8, name=_op)(_bits)


@case(8)
def clip_and_casts() -> Model:
    def middle(draft: Draft, x: str) -> str:
        x = draft.node("Clip", x, draft.constant(-0.5), draft.constant(0.5))
        half = draft.node("Cast", draft.node("Dropout", x), to=TensorProto.FLOAT16)
        return draft.node("CastLike", half, x)

    return between_convs(middle)


@case(8)
def pow_of_absolute() -> Model:
    return between_convs(lambda d, x: d.node("Pow", d.node("Abs", x), d.constant(1.5)))
