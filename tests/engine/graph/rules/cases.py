"""Tiny networks, one for each way in which channels pass an operator, with the sizes of the groups that they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto

from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.rules import RULES
from tests.networks import Draft

PIXELS = 6
TOKENS = 5


class Case(NamedTuple):
    """`build` makes the network; `sizes` are those of its groups, in order."""

    build: Callable[[], Model]
    sizes: tuple[int, ...]


def between_convs(
    middle: Callable[[Draft, str], str], *, wide: int = 8, out: int | None = None, opset: int = 18
) -> Model:
    """A convolution to `wide` channels, something, and another one from `out` channels to one."""
    draft = Draft(opset)
    x = middle(draft, draft.conv("image", 3, wide))
    return draft.model(draft.classify(draft.conv(x, out or wide, 1), 1), ("batch", 3, PIXELS, PIXELS))


def between_layers(
    middle: Callable[[Draft, str], str], *, wide: int = 8, out: int | None = None, opset: int = 18, batch: Any = "batch"
) -> Model:
    """A linear layer to `wide` numbers for each token, something, and another one from `out` numbers to five."""
    draft = Draft(opset)
    x = middle(draft, draft.node("MatMul", "image", draft.weight(4, wide, scale=0.5)))
    last = draft.node("MatMul", x, draft.weight(out or wide, 5, scale=0.5))
    return draft.model(last, (batch, TOKENS, 4), (batch, TOKENS, 5))


CASES: dict[str, Case] = {}


def case(*sizes: int, name: str | None = None) -> Callable[[Callable[[], Model]], Callable[[], Model]]:
    """Put a network into the table, with the sizes of its groups."""

    def add(build: Callable[[], Model]) -> Callable[[], Model]:
        CASES[name or build.__name__] = Case(build, sizes)
        return build

    return add


# element by element

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


# convolutions


@case(4, 2, 4)
def grouped() -> Model:
    """Four groups of two channels in and out: groups, places in a group that are read, and those that are written."""
    draft = Draft()
    x = draft.conv(draft.conv("image", 3, 8), 8, 16, group=4)
    return draft.model(draft.classify(x, 16), ("batch", 3, PIXELS, PIXELS))


@case(8, 2)
def depthwise_with_multiplier() -> Model:
    return between_convs(lambda d, x: d.conv(x, 8, 16, group=8), out=16)


@case(8, 6, 8)
def pointwise_of_any_rank() -> Model:
    """Convolutions along one axis, of tokens."""

    def middle(draft: Draft, x: str) -> str:
        turned = draft.node("Transpose", x, perm=[0, 2, 1])
        x = draft.node("Conv", turned, draft.weight(6, 8, 1), draft.weight(6))
        return draft.node("Transpose", draft.node("Conv", x, draft.weight(8, 6, 3), pads=[1, 1]), perm=[0, 2, 1])

    return between_layers(middle)


@case(8, 6)
def transposed() -> Model:
    return between_convs(
        lambda d, x: d.node("ConvTranspose", x, d.weight(8, 6, 2, 2), d.weight(6), strides=[2, 2]), out=6
    )


@case(4, 2, 3)
def transposed_in_groups() -> Model:
    return between_convs(lambda d, x: d.node("ConvTranspose", x, d.weight(8, 3, 2, 2), d.weight(12), group=4), out=12)


@case(8, 8)
def shared_weights() -> Model:
    """One kernel read twice ties what it reads to what it writes; a row of zeros that all share ties nothing."""
    draft = Draft()
    zeros = draft.constant(np.zeros(8))
    x = draft.node("Conv", "image", draft.weight(8, 3, 1, 1), zeros)
    kernel = draft.weight(8, 8, 1, 1)
    for _ in range(2):
        x = draft.node("Relu", draft.node("Conv", x, kernel, zeros))
    x = draft.node("Conv", x, draft.weight(8, 8, 1, 1), zeros)
    return draft.model(draft.classify(x), ("batch", 3, PIXELS, PIXELS))


# products of matrices


@case(8, 6)
def gemm_both_ways() -> Model:
    draft = Draft()
    x = draft.node("Gemm", "image", draft.weight(4, 8), draft.weight(1, 8), alpha=0.5, beta=2.0)
    x = draft.node("Gemm", x, draft.weight(6, 8), draft.weight(6), transB=1)
    turned = draft.node("Transpose", x, perm=[1, 0])
    return draft.model(draft.node("Gemm", turned, draft.weight(6, 5), transA=1), ("batch", 4), ("batch", 5))


@case(8, 7)
def matmul_with_weights_on_the_left() -> Model:
    def middle(draft: Draft, x: str) -> str:
        turned = draft.node("MatMul", draft.weight(7, 8), draft.node("Transpose", x, perm=[0, 2, 1]))
        return draft.node("Transpose", turned, perm=[0, 2, 1])

    return between_layers(middle, out=7)


@case(8)
def matmul_with_a_vector() -> Model:
    def middle(draft: Draft, x: str) -> str:
        column = draft.node("Unsqueeze", draft.node("MatMul", x, draft.weight(8)), draft.constant([2], np.int64))
        return draft.node("Mul", x, column)

    return between_layers(middle)


@case(8, 3, 6, 8)
def einsum_of_three() -> Model:
    """Letters in other orders, one summed over that only two of the three have, and a new pair of axes."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Einsum", x, draft.weight(8, 3), draft.weight(3, 6), equation="btc,ch,hd->bhtd")
        return draft.node("Einsum", y, draft.weight(6, 8, 3), equation="bhtd,dch->btc")

    return between_layers(middle)


@case(8, 4)
def einsum_without_an_arrow() -> Model:
    return between_layers(lambda d, x: d.node("Einsum", x, d.weight(4, 8), equation="abc,dc"), out=4)


# norms and quantisation


@case(8)
def batch_norm() -> Model:
    return between_convs(lambda d, x: d.batch_norm(x, 8))


@case(8)
def instance_norm() -> Model:
    return between_convs(lambda d, x: d.node("InstanceNormalization", x, d.weight(8), d.weight(8)))


@case(4, name="group_norm_with_scales_of_groups")
def group_norm_18() -> Model:
    return between_convs(lambda d, x: d.node("GroupNormalization", x, d.weight(4), d.weight(4), num_groups=4))


@case(4, name="group_norm_with_scales_of_channels")
def group_norm_21() -> Model:
    return between_convs(lambda d, x: d.node("GroupNormalization", x, d.weight(8), d.weight(8), num_groups=4), opset=21)


@case(4)
def group_norm_spelled_out() -> Model:
    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Reshape", x, draft.constant([0, 4, -1], np.int64))
        y = draft.node("InstanceNormalization", y, draft.constant(np.ones(4)), draft.constant(np.zeros(4)))
        y = draft.node("Reshape", y, draft.constant([-1, 8, PIXELS, PIXELS], np.int64))
        return draft.node("Add", draft.node("Mul", y, draft.weight(8, 1, 1)), draft.weight(8, 1, 1))

    return between_convs(middle)


@case(8)
def layer_norm_over_pixels() -> Model:
    """Each channel is normalised over its pixels alone."""
    return between_convs(lambda d, x: d.node("LayerNormalization", x, d.weight(PIXELS, PIXELS), axis=2))


@case(6)
def layer_norm_of_tokens() -> Model:
    """The width of the stream stays; the hidden layer behind the norm may shrink."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("LayerNormalization", x, draft.weight(8), draft.weight(8), axis=-1)
        y = draft.node("MatMul", draft.node("Relu", draft.node("MatMul", y, draft.weight(8, 6))), draft.weight(6, 8))
        return draft.node("Add", x, y)

    return between_layers(middle)


@case(6)
def rms_norm_of_tokens() -> Model:
    def middle(draft: Draft, x: str) -> str:
        y = draft.node("RMSNormalization", x, draft.weight(8), axis=-1)
        return draft.node(
            "Add", x, draft.node("MatMul", draft.node("MatMul", y, draft.weight(8, 6)), draft.weight(6, 8))
        )

    return between_layers(middle, opset=23)


@case(8)
def length_norm() -> Model:
    return between_convs(lambda d, x: d.node("LpNormalization", x, axis=1, p=2))


@case(8)
def length_norm_spelled_out() -> Model:
    return between_convs(lambda d, x: d.node("Div", x, d.node("ReduceL2", x, d.constant([1], np.int64), keepdims=1)))


@case()
def norms_across_channels() -> Model:
    def middle(draft: Draft, x: str) -> str:
        return draft.node("MeanVarianceNormalization", draft.node("LRN", x, size=3), axes=[1, 2, 3])

    return between_convs(middle)


@case()
def softmax_across_channels() -> Model:
    def middle(draft: Draft, x: str) -> str:
        x = draft.node("LogSoftmax", draft.node("Softmax", x, axis=1), axis=1)
        return draft.node("Add", x, draft.node("Hardmax", x, axis=1))

    return between_convs(middle)


@case()
def softmax_over_all_that_follows() -> Model:
    """Before opset 13 the axis of Softmax, 1 by default, took along all axes behind it."""
    return between_convs(lambda d, x: d.node("Softmax", x), opset=11)


@case(8)
def softmax_over_pixels() -> Model:
    return between_convs(lambda d, x: d.node("Softmax", x, axis=3))


@case(8, name="quantised_by_channel")
def quantised() -> Model:
    def middle(draft: Draft, x: str) -> str:
        scale, zero = draft.constant(np.linspace(0.02, 0.05, 8)), draft.constant([128] * 8, np.uint8)
        quantised = draft.node("QuantizeLinear", x, scale, zero, axis=1)
        return draft.node("DequantizeLinear", quantised, scale, zero, axis=1)

    return between_convs(middle)


# layout


@case(8)
def flattened() -> Model:
    """Each channel is a block of 36 numbers of the layer behind."""
    draft = Draft()
    x = draft.node("Flatten", draft.conv("image", 3, 8))
    return draft.model(draft.node("Gemm", x, draft.weight(8 * PIXELS**2, 5)), ("batch", 3, PIXELS, PIXELS))


@case(8)
def flattened_with_channels_last() -> Model:
    """Each channel is every eighth number of the layer behind."""
    draft = Draft()
    x = draft.node("Flatten", draft.node("Transpose", draft.conv("image", 3, 8), perm=[0, 2, 3, 1]), axis=-3)
    return draft.model(draft.node("Gemm", x, draft.weight(8 * PIXELS**2, 5)), ("batch", 3, PIXELS, PIXELS))


@case(4)
def shuffled() -> Model:
    """Two halves dealt out like cards: place c of both goes together."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Concat", x, draft.conv("image", 3, 4), axis=1)
        y = draft.node("Reshape", y, draft.constant([-1, 2, 4, PIXELS, PIXELS], np.int64))
        y = draft.node("Transpose", y, perm=[0, 2, 1, 3, 4])
        return draft.node("Reshape", y, draft.constant([0, 8, PIXELS, PIXELS], np.int64))

    return between_convs(middle, wide=4, out=8)


@case(2, 3)
def digits() -> Model:
    """Six channels as three by two, turned: digits of two and of three are groups of their own."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Reshape", x, draft.constant([0, 0, 2, 3], np.int64))
        return draft.node(
            "Reshape", draft.node("Transpose", y, perm=[0, 1, 3, 2]), draft.constant([0, 0, -1], np.int64)
        )

    return between_layers(middle, wide=6)


@case(8)
def squeezed() -> Model:
    """Squeeze without axes would drop one more as soon as a single channel is left."""

    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Squeeze", draft.node("Unsqueeze", x, draft.constant([0, 2], np.int64)))
        return draft.node(
            "Squeeze", draft.node("Unsqueeze", y, draft.constant([1], np.int64)), draft.constant([1], np.int64)
        )

    return between_layers(middle, batch=2)


@case(8)
def squeezed_by_attribute() -> Model:
    def middle(draft: Draft, x: str) -> str:
        return draft.node("Squeeze", draft.node("Unsqueeze", x, axes=[0, 2]))

    return between_layers(middle, batch=2, opset=11)


@case(8, 6)
def expanded() -> Model:
    """Channels that come of repeating a single one may go by themselves."""

    def middle(draft: Draft, x: str) -> str:
        one = draft.node("Expand", draft.conv(x, 8, 1), draft.constant([1, 6, 1, 1], np.int64))
        return draft.node("Mul", one, draft.weight(6, 1, 1))

    return between_convs(middle, out=6)


@case(8)
def expanded_to_what_is_there() -> Model:
    return between_convs(lambda d, x: d.node("Expand", x, d.constant([1, 8, 1, PIXELS], np.int64)))


@case(2, 4, 2)
def reshaped_to_sizes_told_at_run_time() -> Model:
    """Batch and image are open, and so is the target of Reshape; the channels in it are known all the same."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    shape = draft.node("Shape", x)
    batch, height, width = (draft.node("Gather", shape, draft.constant([i], np.int64)) for i in (0, 2, 3))
    turned = draft.node("Concat", batch, draft.constant([2, 4], np.int64), height, width, axis=0)
    y = draft.node("Transpose", draft.node("Reshape", x, turned), perm=[0, 2, 1, 3, 4])
    back = draft.node("Concat", batch, draft.constant([8], np.int64), height, width, axis=0)
    y = draft.conv(draft.node("Reshape", y, back), 8, 2)
    return draft.model(draft.classify(y, 2), ("batch", 3, "height", "width"))


@case(8, 6, 6, 4)
def reshaped_like_another() -> Model:
    """The target is what Shape tells of a value whose channels go by themselves."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    like, other = draft.conv(x, 8, 6), draft.conv(x, 8, 6)
    flat = draft.node("Reshape", other, draft.constant([0, 6, -1], np.int64))
    back = draft.node("Reshape", draft.node("Relu", flat), draft.node("Shape", like))
    y = draft.node("Add", draft.conv(like, 6, 4), draft.conv(back, 6, 4))
    return draft.model(draft.classify(y, 4), ("batch", 3, "height", "width"))


# pieces


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


# pictures


@case(8)
def pooled() -> Model:
    def middle(draft: Draft, x: str) -> str:
        sizes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        x = draft.node("Add", draft.node("MaxPool", x, **sizes), draft.node("AveragePool", x, **sizes))
        return draft.node("LpPool", x, kernel_shape=[2, 2])

    return between_convs(middle)


@case(8, 4)
def squeeze_and_excite() -> Model:
    def middle(draft: Draft, x: str) -> str:
        pooled = draft.node("Add", draft.node("GlobalAveragePool", x), draft.node("GlobalMaxPool", x))
        pooled = draft.node("Add", pooled, draft.node("GlobalLpPool", x))
        gate = draft.conv(draft.node("Relu", draft.conv(pooled, 8, 4, kernel=1)), 4, 8, kernel=1)
        return draft.node("Mul", x, draft.node("Sigmoid", gate))

    return between_convs(middle)


@case(3)
def pixels_out_of_channels() -> Model:
    """The same blocks in both orders; the four pixels of a block stay."""

    def middle(draft: Draft, x: str) -> str:
        return draft.node("DepthToSpace", x, blocksize=2, mode="DCR")

    return between_convs(middle, wide=12, out=3)


@case(3)
def pixels_out_of_channels_the_other_way() -> Model:
    return between_convs(lambda d, x: d.node("DepthToSpace", x, blocksize=2, mode="CRD"), wide=12, out=3)


@case(8)
def channels_out_of_pixels() -> Model:
    return between_convs(lambda d, x: d.node("SpaceToDepth", x, blocksize=2), out=32)


@case(8)
def resized_by_scales() -> Model:
    return between_convs(lambda d, x: d.node("Resize", x, "", d.constant([1, 1, 2, 2]), mode="nearest"))


@case(8)
def resized_to_sizes() -> Model:
    """The sizes asked for name the channels, too."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    x = draft.node("Resize", x, "", "", draft.constant([2, 8, 9, 9], np.int64), mode="linear")
    return draft.model(draft.classify(draft.conv(x, 8, 1), 1), (2, 3, PIXELS, PIXELS))


@case(8)
def resized_along_named_axes() -> Model:
    def middle(draft: Draft, x: str) -> str:
        return draft.node("Resize", x, "", "", draft.constant([9, 9], np.int64), mode="linear", axes=[2, 3])

    return between_convs(middle)


@case(8)
def sampled_on_a_grid() -> Model:
    """Pixels, and crops, read where constants say."""
    draft = Draft()
    x = draft.conv("image", 3, 8)
    grid = draft.constant(draft.random.uniform(-1, 1, (2, 4, 4, 2)))
    boxes, images = draft.constant([[0, 0, 2, 2], [1, 1, 3, 3]]), draft.constant([0, 1], np.int64)
    x = draft.node("RoiAlign", draft.node("GridSample", x, grid), boxes, images, output_height=3, output_width=3)
    return draft.model(draft.classify(draft.conv(x, 8, 1), 1), (2, 3, PIXELS, PIXELS))


# reductions

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


# numbers


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


# attention


def attention_spelled_out(draft: Draft, x: str, *, heads: int = 3, inside: int = 4, batch: int = 0) -> str:
    parts = []
    for _ in range(3):
        weights = draft.weight(8, heads * inside, scale=0.4)
        y = draft.node("Add", draft.node("MatMul", x, weights), draft.weight(heads * inside))
        y = draft.node("Reshape", y, draft.constant([batch, TOKENS, heads, inside], np.int64))
        parts.append(draft.node("Transpose", y, perm=[0, 2, 1, 3]))
    q, k, v = parts
    turned = draft.node("Transpose", k, perm=[0, 1, 3, 2])
    scores = draft.node("Softmax", draft.node("Mul", draft.node("MatMul", q, turned), draft.constant(0.5)), axis=-1)
    mixed = draft.node("Transpose", draft.node("MatMul", scores, v), perm=[0, 2, 1, 3])
    return draft.node("Reshape", mixed, draft.constant([batch, TOKENS, heads * inside], np.int64))


@case(8, 3, 4, 4)
def attention_by_hand() -> Model:
    """Heads, places of Q and K, and places of V are three groups."""
    return between_layers(attention_spelled_out, out=12)


@case(8, 3, 4, 4)
def attention_native() -> Model:
    def middle(draft: Draft, x: str) -> str:
        q, k, v = (draft.node("MatMul", x, draft.weight(8, 12, scale=0.5)) for _ in range(3))
        return draft.node("Attention", q, k, v, q_num_heads=3, kv_num_heads=3)

    return between_layers(middle, out=12, opset=23)


@case(8, 2, 3, 3)
def attention_native_in_four_axes() -> Model:
    """With a mask for each head, so that it loses heads, too."""

    def middle(draft: Draft, x: str) -> str:
        parts = []
        for _ in range(3):
            y = draft.node(
                "Reshape", draft.node("MatMul", x, draft.weight(8, 6)), draft.constant([0, 0, 2, 3], np.int64)
            )
            parts.append(draft.node("Transpose", y, perm=[0, 2, 1, 3]))
        y = draft.node("Attention", *parts, draft.weight(2, TOKENS, TOKENS), scale=0.3)
        return draft.node(
            "Reshape", draft.node("Transpose", y, perm=[0, 2, 1, 3]), draft.constant([0, 0, -1], np.int64)
        )

    return between_layers(middle, out=6, opset=23)


@case(8, 2, 2, 4, 4)
def attention_with_shared_keys() -> Model:
    """Four heads read the keys of two: keys with all that read them, and the first or second that read each."""

    def middle(draft: Draft, x: str) -> str:
        q = draft.node("MatMul", x, draft.weight(8, 16, scale=0.5))
        k, v = (draft.node("MatMul", x, draft.weight(8, 8, scale=0.5)) for _ in range(2))
        return draft.node("Attention", q, k, v, q_num_heads=4, kv_num_heads=2)

    return between_layers(middle, out=16, opset=23)


@case(8, 3)
def rotary_native() -> Model:
    def middle(draft: Draft, x: str) -> str:
        y = draft.node("Reshape", draft.node("MatMul", x, draft.weight(8, 12)), draft.constant([0, 0, 3, 4], np.int64))
        y = draft.node("Transpose", y, perm=[0, 2, 1, 3])
        angles = draft.constant(draft.random.uniform(0, 3, (2, TOKENS, 2)))
        y = draft.node("RotaryEmbedding", y, draft.node("Cos", angles), draft.node("Sin", angles))
        return draft.node(
            "Reshape", draft.node("Transpose", y, perm=[0, 2, 1, 3]), draft.constant([0, 0, -1], np.int64)
        )

    return between_layers(middle, out=12, opset=23)


@case(8, 3)
def covariance() -> Model:
    """Both axes of a Gram matrix are the same channels, and stay so when it is laid out flat."""

    def middle(draft: Draft, x: str) -> str:
        gram = draft.node("MatMul", draft.node("Transpose", x, perm=[0, 2, 1]), x)
        flat = draft.node("Reshape", gram, draft.constant([0, 1, -1], np.int64))
        return draft.node(
            "Add", draft.node("MatMul", flat, draft.weight(64, 3)), draft.node("MatMul", x, draft.weight(8, 3))
        )

    return between_layers(middle, out=3)


def normalised(name: str) -> Model:
    return normalise(CASES[name].build())


def operators_in_cases() -> set[str]:
    """Return the operators of RULES that occur in the cases, before normalising."""
    return {node.op_type for case in CASES.values() for node in case.build().graph} & set(RULES)
