"""Tiny networks of one attention, over the ways in which exporters write one; heads may be of low rank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.networks import Draft, Shape, layer_norm

WIDTH, TOKENS = 12, 16
IMAGE: Shape = ("batch", 3, 8, 8)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Spec:
    """How an attention is written.

    `layout`: "apart", a matrix each, or one matrix, parted by "five" axes and Gather, these "unbound" by Split, by
    "split" or "slices" of its columns, or "tokens_first". `bias`: "none", "add" behind the matrix, "gemm", or "late",
    behind the parting of heads. `scale`: where the scores are scaled. `written`: "products", or as one operator of
    opset 23 of "three" or "four" axes. `keys` is the number of heads of keys and values. `rank` is that of each head's
    keys and values without their biases, 0 for full.
    """

    layout: str = "apart"
    bias: str = "add"
    scale: str = "scores"
    mask: bool = False
    heads: int = 3
    size: int = 4
    keys: int = 3
    written: str = "products"
    opset: int = 18
    batch: int | str = "batch"
    rank: int = 0

    @property
    def name(self) -> str:
        return "-".join(str(value) for value in vars(self).values())


def specs() -> Iterator[Spec]:
    """Yield what the laws are held against: each way of parting with each bias, and the other ways one at a time."""
    plain = Spec()
    yield from (replace(plain, layout=a, bias=b) for a, b in product(LAYOUTS, ("none", "add", "gemm")))
    yield from (replace(plain, layout="apart", bias="late", opset=opset) for opset in (13, 18))
    yield from (replace(plain, scale=scale, mask=mask) for scale, mask in product(SCALES, (False, True)))
    yield from (replace(plain, layout=a, heads=h, keys=h) for a, h in product(("apart", "five"), (1, 2, 5)))
    yield from (replace(plain, layout=layout, batch=1, opset=11) for layout in LAYOUTS)
    for written, keys in product(("three", "four"), (1, 3)):
        yield replace(plain, written=written, keys=keys, opset=23)
    yield replace(plain, layout="split", written="four", opset=23)
    yield replace(plain, heads=4, keys=2, written="three", opset=23)


LAYOUTS = ("apart", "five", "unbound", "split", "slices", "tokens_first")
SCALES = ("queries", "scores", "both", "divided", "none")


def network(spec: Spec, seed: int = 0) -> Model:
    """Return patches, the attention on them, their sum and a head, in plain form."""
    draft = Draft(spec.opset, seed)
    patches = draft.node("Conv", "image", draft.weight(WIDTH, 3, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    flat = draft.node("Reshape", patches, draft.constant([0, WIDTH, TOKENS], np.int64))
    x = draft.node("Transpose", flat, perm=[0, 2, 1])
    said = draft.node("MatMul", attention(draft, x, spec), draft.weight(spec.heads * spec.size, WIDTH))
    if spec.bias != "none":
        said = draft.node("Add", said, draft.weight(WIDTH))
    x = draft.node("Add", x, said)
    normed = layer_norm(draft, x, WIDTH) if spec.opset >= 17 else draft.node("Tanh", x)
    mean = draft.node("Flatten", draft.node("GlobalAveragePool", draft.node("Transpose", normed, perm=[0, 2, 1])))
    last = draft.node("Gemm", mean, draft.weight(5, WIDTH), draft.weight(5), transB=1)
    return normalise(draft.model(last, (spec.batch, *IMAGE[1:])))


def attention(draft: Draft, x: str, spec: Spec) -> str:
    """Return what all heads say, side by side: (batch, tokens, heads * size)."""
    q, k, v = _tokens_first(draft, x, spec) if spec.layout == "tokens_first" else _parts(draft, x, spec)
    if spec.written == "three":
        return draft.node("Attention", q, k, v, q_num_heads=spec.heads, kv_num_heads=spec.keys)
    is_one = spec.written == "four"
    mixed = draft.node("Attention", q, k, v) if is_one else _products(draft, q, k, v, spec)
    turned = draft.node("Transpose", mixed, perm=[0, 2, 1, 3])
    return draft.node("Reshape", turned, draft.constant([0, TOKENS, spec.heads * spec.size], np.int64))


def _products(draft: Draft, q: str, k: str, v: str, spec: Spec) -> str:
    if spec.scale in ("queries", "both"):
        q = draft.node("Mul", q, draft.constant(0.7))
    k = draft.node("Transpose", k, perm=[0, 1, 3, 2])
    if spec.scale == "both":
        k = draft.node("Mul", k, draft.constant([0.7]))
    scores = draft.node("MatMul", q, k)
    if spec.scale == "scores":
        scores = draft.node("Mul", scores, draft.constant(0.5))
    if spec.scale == "divided":
        scores = draft.node("Div", scores, draft.constant(2.0))
    if spec.mask:
        scores = draft.node("Add", scores, draft.weight(1, spec.heads, TOKENS, TOKENS))
    return draft.node("MatMul", draft.node("Softmax", scores, axis=-1), v)


def _parts(draft: Draft, x: str, spec: Spec) -> list[str]:
    """Return queries, keys and values, parted into heads unless they are written in three axes."""
    counts, weights = (spec.heads, spec.keys, spec.keys), _weights(draft, spec)
    if spec.layout == "apart":
        parts = [_linear(draft, x, weight, spec) for weight in weights]
        if spec.written == "three":
            return parts
        return [_heads(draft, part, count, spec) for part, count in zip(parts, counts, strict=True)]
    packed, width = _linear(draft, x, np.concatenate(weights, axis=1), spec), spec.heads * spec.size
    if spec.layout in ("five", "unbound"):
        five = draft.node("Reshape", packed, draft.constant([0, TOKENS, 3, spec.heads, spec.size], np.int64))
        five = draft.node("Transpose", five, perm=[2, 0, 3, 1, 4])
        if spec.layout == "unbound":
            first = _split(draft, five, [1, 1, 1], 0, spec)
            return [_squeezed(draft, part, spec) for part in (first, f"{first}_1", f"{first}_2")]
        return [draft.node("Gather", five, draft.constant(index, np.int64), axis=0) for index in range(3)]
    if spec.layout == "split":
        first = _split(draft, packed, [width] * 3, 2, spec)
        parts = [first, f"{first}_1", f"{first}_2"]
    else:
        ends = [draft.constant([index * width], np.int64) for index in range(4)]
        two = draft.constant([2], np.int64)
        parts = [draft.node("Slice", packed, *pair, two) for pair in pairwise(ends)]
    return [_heads(draft, part, spec.heads, spec) for part in parts]


def _split(draft: Draft, x: str, sizes: list[int], axis: int, spec: Spec) -> str:
    if spec.opset < 13:
        return draft.node("Split", x, outputs=len(sizes), axis=axis, split=sizes)
    return draft.node("Split", x, draft.constant(sizes, np.int64), outputs=len(sizes), axis=axis)


def _squeezed(draft: Draft, x: str, spec: Spec) -> str:
    if spec.opset < 13:
        return draft.node("Squeeze", x, axes=[0])
    return draft.node("Squeeze", x, draft.constant([0], np.int64))


def _tokens_first(draft: Draft, x: str, spec: Spec) -> list[str]:
    """As torch.nn.MultiheadAttention writes it; the batch stays an axis of its own."""
    width = spec.heads * spec.size
    packed = _linear(
        draft, draft.node("Transpose", x, perm=[1, 0, 2]), np.concatenate(_weights(draft, spec), axis=1), spec
    )
    packed = draft.node("Reshape", packed, draft.constant([TOKENS, -1, 3, width], np.int64))
    packed = draft.node("Transpose", packed, perm=[2, 0, 1, 3])
    parts = [draft.node("Gather", packed, draft.constant(index, np.int64), axis=0) for index in range(3)]
    shape = draft.constant([TOKENS, -1, spec.size], np.int64)
    parts = [draft.node("Transpose", draft.node("Reshape", part, shape), perm=[1, 0, 2]) for part in parts]
    four = draft.constant([-1, spec.heads, TOKENS, spec.size], np.int64)
    return [draft.node("Reshape", part, four) for part in parts]


def _heads(draft: Draft, x: str, count: int, spec: Spec) -> str:
    """(batch, tokens, heads * size) -> (batch, heads, tokens, size)"""
    x = draft.node("Reshape", x, draft.constant([0, TOKENS, count, spec.size], np.int64))
    x = draft.node("Transpose", x, perm=[0, 2, 1, 3])
    return draft.node("Add", x, draft.weight(count, 1, spec.size, scale=0.3)) if spec.bias == "late" else x


def _linear(draft: Draft, x: str, weight: Array, spec: Spec) -> str:
    rows, columns = weight.shape
    if spec.bias == "gemm":
        flat = draft.node("Reshape", x, draft.constant([-1, rows], np.int64))
        made = draft.node("Gemm", flat, draft.constant(weight.T), draft.weight(columns, scale=0.3), transB=1)
        shape = [TOKENS, -1, columns] if spec.layout == "tokens_first" else [-1, TOKENS, columns]
        return draft.node("Reshape", made, draft.constant(shape, np.int64))
    made = draft.node("MatMul", x, draft.constant(weight))
    return draft.node("Add", made, draft.weight(columns, scale=0.3)) if spec.bias == "add" else made


def _weights(draft: Draft, spec: Spec) -> list[Array]:
    """Return (WIDTH, heads * size) each; of low rank, the keys and the values of each head are."""
    made = []
    for index, count in enumerate((spec.heads, spec.keys, spec.keys)):
        each = draft.random.standard_normal((count, WIDTH, spec.size)) * WIDTH**-0.5
        if spec.rank and index:
            each = _low(draft, each, spec.rank)
        made.append(each.transpose(1, 0, 2).reshape(WIDTH, count * spec.size))
    return made


def _low(draft: Draft, matrices: Array, rank: int) -> Array:
    """Return the matrices on a random space of few dimensions, no single number of which is zero."""
    size = matrices.shape[-1]
    basis = np.linalg.qr(draft.random.standard_normal((len(matrices), size, size)))[0][..., :rank]
    return np.asarray(matrices @ basis @ basis.swapaxes(-1, -2))
