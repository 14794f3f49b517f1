"""Multiply-accumulates of one node, by operator: from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import onnx_ir as ir

Shape = tuple[int, ...]
Shapes = Sequence[Shape]
"""Shapes of a node's inputs by place; () stands for one that is absent or of unknown shape."""

# These only move, name, reshape, compare or choose: leaving them out loses no multiplication.
FREE = frozenset(
    {"And", "ArgMax", "ArgMin", "Cast", "CastLike", "Compress", "Concat", "Constant", "ConstantOfShape"}
    | {"DepthToSpace", "Dropout", "Equal", "Expand", "EyeLike", "Flatten", "Gather", "GatherElements", "GatherND"}
    | {"GlobalMaxPool", "Greater", "GreaterOrEqual", "Identity", "IsInf", "IsNaN", "Less", "LessOrEqual", "Max"}
    | {"MaxPool", "MaxUnpool", "Min", "NonZero", "Not", "OneHot", "Or", "Pad", "Range"}
    | {"ReduceMax", "ReduceMin", "Reshape", "ReverseSequence", "ScatterElements", "ScatterND", "Shape", "Size"}
    | {"Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "TopK", "Transpose", "Trilu", "Unique", "Unsqueeze"}
    | {"Where", "Xor"}
)


def macs_of(node: ir.Node) -> int | None:
    """Return the multiply-accumulates of a node whose shapes are known; None where they are not counted."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in FREE:
        return 0
    if node.op_type not in RULES:
        return None
    rule, needed = RULES[node.op_type]
    inputs, out = [_shape_of(value) for value in node.inputs], _shape_of(node.outputs[0])
    if out is None or any(place >= len(inputs) or inputs[place] is None for place in needed):
        return None
    return rule(node, [shape or () for shape in inputs], out)


def is_counted(node: ir.Node) -> bool:
    """Say whether there is a rule for the node, whether or not its shapes are known."""
    return node.domain in ("", "ai.onnx") and node.op_type in RULES


def _shape_of(value: ir.Value | None) -> Shape | None:
    if value is None or value.shape is None:
        return None
    sizes = tuple(size for size in value.shape if isinstance(size, int))
    return sizes if len(sizes) == len(value.shape) else None


def _conv(node: ir.Node, inputs: Shapes, out: Shape) -> int:
    return math.prod(out) * math.prod(inputs[1][1:])  # weight is (out, in / groups, *kernel)


def _quantised_conv(node: ir.Node, inputs: Shapes, out: Shape) -> int:
    return math.prod(out) * math.prod(inputs[3][1:])  # x, its scale, its zero point, weight


def _conv_transpose(node: ir.Node, inputs: Shapes, out: Shape) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])  # weight is (in, out / groups, *kernel)


def _gemm(node: ir.Node, inputs: Shapes, out: Shape) -> int:
    transposed = node.attributes.get_int("transA", 0)
    return math.prod(out) * inputs[0][0 if transposed else 1]


def _matmul(node: ir.Node, inputs: Shapes, out: Shape) -> int:
    return math.prod(out) * inputs[0][-1]


def _einsum(node: ir.Node, inputs: Shapes, out: Shape) -> int | None:
    """Every combination of the letters is one product; a contraction of three or more operands has no one order."""
    terms = node.attributes["equation"].as_string().replace(" ", "").split("->")[0].split(",")
    if len(terms) != 2 or any("." in term for term in terms):
        return None
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, inputs, strict=True):
        sizes |= zip(term, shape, strict=True)
    return math.prod(sizes.values())


def _attention(node: ir.Node, inputs: Shapes, out: Shape) -> int | None:
    """Scores and weighted sums; shapes are (batch, heads, tokens, width) or (batch, tokens, heads * width)."""
    query, key, value = inputs[:3]
    if any(inputs[4:6]):
        return None  # keys of the past lie in other inputs
    heads = query[1] if len(query) == 4 else node.attributes.get_int("q_num_heads", 0)
    key_heads = key[1] if len(key) == 4 else node.attributes.get_int("kv_num_heads", 0)
    if not heads or not key_heads:
        return None
    wide = query[-1] + value[-1] if len(query) == 4 else query[-1] // heads + value[-1] // key_heads
    return query[0] * heads * query[-2] * key[-2] * wide


def _recurrent(node: ir.Node, inputs: Shapes, out: Shape) -> int:
    x, weight, recurrence = inputs[:3]  # (steps, batch, in), (directions, gates * hidden, in), (…, hidden)
    return x[0] * x[1] * (math.prod(weight) + math.prod(recurrence))


Rule = Callable[[ir.Node, Shapes, Shape], int | None]
RULES: dict[str, tuple[Rule, tuple[int, ...]]] = {
    "Attention": (_attention, (0, 1, 2)),
    "Conv": (_conv, (1,)),
    "ConvInteger": (_conv, (1,)),
    "ConvTranspose": (_conv_transpose, (0, 1)),
    "DeformConv": (_conv, (1,)),
    "Einsum": (_einsum, (0, 1)),
    "GRU": (_recurrent, (0, 1, 2)),
    "Gemm": (_gemm, (0,)),
    "LSTM": (_recurrent, (0, 1, 2)),
    "MatMul": (_matmul, (0,)),
    "MatMulInteger": (_matmul, (0,)),
    "QLinearConv": (_quantised_conv, (3,)),
    "QLinearMatMul": (_matmul, (0,)),
    "RNN": (_recurrent, (0, 1, 2)),
}
"""What counts each operator, and the places of the inputs whose shapes it needs."""
