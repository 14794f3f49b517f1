"""Steps over tokens (batch, tokens, channels): attention in its spellings, gated and mixed linear layers."""

from __future__ import annotations

import numpy as np

from tests.engine.graph.random_graphs.draft import Draft, Size

HEADS = 2


def mlp(draft: Draft, x: str) -> str:
    inner = draft.linear(draft.normed(x), draft.width())
    inner = draft.like("Gelu", inner) if draft.opset >= 20 and draft.coin() else draft.activation(inner)
    return draft.like("Add", x, draft.linear(inner, draft.channels(x, 2)))


def linear(draft: Draft, x: str) -> str:
    return draft.activation(draft.linear(x, draft.width()))


def gated(draft: Draft, x: str) -> str:
    """A gated linear unit: one product for values and gates."""
    width = draft.width()
    values, gates = draft.split(draft.linear(x, 2 * width), width, width, axis=2)
    return draft.linear(draft.like("Mul", values, draft.like("Sigmoid", gates)), draft.channels(x, 2))


def attention(draft: Draft, x: str) -> str:
    """Query, key and value each from a matrix of its own; keys may serve all heads."""
    width, inner = _head_width(draft), draft.normed(x)
    q = _heads(draft, draft.linear(inner, HEADS * width), HEADS)
    heads = 1 if draft.random.random() < 0.3 else HEADS
    k, v = (_heads(draft, draft.linear(inner, heads * width), heads) for _ in range(2))
    mixed = _attend(draft, q, draft.transpose(k, 0, 1, 3, 2), v)
    return _project(draft, mixed, x)


def packed_attention(draft: Draft, x: str) -> str:
    """One matrix for all three, parted by a reshape to (3, heads, width) or by a split of the channels."""
    batch, tokens, _ = draft.shapes[x]
    width = _head_width(draft)
    packed = draft.linear(draft.normed(x), 3 * HEADS * width)
    if draft.coin():
        q, k, v = (_heads(draft, part, HEADS) for part in draft.split(packed, *[HEADS * width] * 3, axis=2))
    else:
        five = draft.transpose(draft.reshape(packed, batch, tokens, 3, HEADS, width), 2, 0, 3, 1, 4)
        shape = (batch, HEADS, tokens, width)
        q, k, v = (draft.node("Gather", five, _index(draft, i), shape=shape, axis=0) for i in range(3))
    mixed = _attend(draft, q, draft.transpose(k, 0, 1, 3, 2), v)
    return _project(draft, mixed, x)


def tokens_first_attention(draft: Draft, x: str) -> str:
    """As torch.nn.MultiheadAttention spells it: tokens first, a packed matrix, batch and heads on one axis."""
    batch, tokens, channels = draft.shapes[x]
    if isinstance(batch, str):
        return packed_attention(draft, x)
    width = _head_width(draft)
    packed = draft.linear(draft.transpose(x, 1, 0, 2), 3 * HEADS * width)
    unpacked = draft.reshape(packed, tokens, batch, 3, HEADS * width)
    unpacked = draft.node("Unsqueeze", unpacked, draft.numbers(0), shape=(1, tokens, batch, 3, HEADS * width))
    unpacked = draft.transpose(unpacked, 3, 1, 2, 0, 4)
    three = draft.node("Squeeze", unpacked, draft.numbers(3), shape=(3, tokens, batch, HEADS * width))
    shape = (tokens, batch, HEADS * width)
    parts = [draft.node("Gather", three, _index(draft, i), shape=shape, axis=0) for i in range(3)]
    q, k, v = (draft.transpose(draft.reshape(part, tokens, batch * HEADS, width), 1, 0, 2) for part in parts)
    scores = draft.node("MatMul", q, draft.transpose(k, 0, 2, 1), shape=(batch * HEADS, tokens, tokens))
    scores = draft.like("Softmax", draft.like("Mul", scores, draft.constant(width**-0.5)), axis=-1)
    mixed = draft.node("MatMul", scores, v, shape=draft.shapes[v])
    joined = draft.reshape(draft.transpose(mixed, 1, 0, 2), tokens, batch, HEADS * width)
    return draft.like("Add", x, draft.transpose(draft.linear(joined, int(channels)), 1, 0, 2))


def native_attention(draft: Draft, x: str) -> str:
    """The operator of opset 23, with the heads as an attribute or as an axis; before that, spelled out."""
    if draft.opset < 23:
        return attention(draft, x)
    width, inner = _head_width(draft), draft.normed(x)
    q, k, v = (draft.linear(inner, HEADS * width) for _ in range(3))
    scale = {"scale": 0.3} if draft.coin() else {}
    if draft.coin():
        mixed = draft.node("Attention", q, k, v, shape=draft.shapes[q], q_num_heads=HEADS, kv_num_heads=HEADS, **scale)
        return draft.like("Add", x, draft.linear(mixed, draft.channels(x, 2)))
    mixed = draft.like("Attention", *(_heads(draft, part, HEADS) for part in (q, k, v)), **scale)
    return _project(draft, mixed, x)


def class_token(draft: Draft, x: str) -> str:
    """A learnt token in front and learnt positions on all; then the others alone."""
    batch, tokens, channels = draft.shapes[x]
    token = draft.scale(1, 1, int(channels))
    if isinstance(batch, int):
        token = draft.node("Expand", token, draft.numbers(batch, 1, int(channels)), shape=(batch, 1, channels))
    else:
        zero = draft.like("Mul", draft.cut_out(x, 0, 1, 1), draft.constant(0.0))
        token = draft.like("Add", zero, token)
    longer = draft.concat(token, x, axis=1)
    longer = draft.like("Add", longer, draft.scale(1, int(tokens) + 1, int(channels)))
    return draft.cut_out(linear(draft, longer), 1, int(tokens) + 1, 1)


def token_mixing(draft: Draft, x: str) -> str:
    """Tokens in the place of channels, as in MLP-Mixer."""
    turned = draft.transpose(draft.normed(x), 0, 2, 1)
    turned = draft.linear(draft.like("Tanh", draft.linear(turned, draft.width())), draft.channels(x, 1))
    return draft.like("Add", x, draft.transpose(turned, 0, 2, 1))


def windows(draft: Draft, x: str) -> str:
    """Tokens in windows, a layer in each, and back."""
    batch, tokens, channels = draft.shapes[x]
    if int(tokens) % 2:
        return linear(draft, x)
    parted = draft.reshape(x, batch, int(tokens) // 2, 2, channels)
    worked = draft.linear(draft.transpose(parted, 0, 2, 1, 3), draft.width())
    back = draft.transpose(worked, 0, 2, 1, 3)
    return draft.reshape(back, batch, tokens, draft.shapes[back][-1])


def patch_merging(draft: Draft, x: str) -> str:
    """Neighbouring tokens side by side on the channels, a norm, a layer; as many tokens again by repeating."""
    tokens = draft.channels(x, 1)
    if tokens % 2:
        return mlp(draft, x)
    even, odd = draft.cut_out(x, 0, tokens, 1, 2), draft.cut_out(x, 1, tokens, 1, 2)
    merged = draft.linear(draft.normed(draft.concat(even, odd, axis=2)), draft.width())
    return draft.concat(merged, merged, axis=1)


def grouped_linear(draft: Draft, x: str) -> str:
    """Each group of channels has a matrix of its own."""
    batch, tokens, channels = draft.shapes[x]
    if int(channels) % 2:
        return mlp(draft, x)
    half, width = int(channels) // 2, draft.random.choice([2, 3, 4])
    parted = draft.transpose(draft.reshape(x, batch, tokens, 2, half), 0, 2, 1, 3)
    weight = draft.weight(2, half, width, fan_in=half)
    worked = draft.transpose(draft.node("MatMul", parted, weight, shape=(batch, 2, tokens, width)), 0, 2, 1, 3)
    return draft.reshape(worked, batch, tokens, 2 * width)


def root_mean_square_norm(draft: Draft, x: str) -> str:
    shape = (*draft.shapes[x][:2], 1)
    squares = draft.node("ReduceMean", draft.like("Mul", x, x), draft.numbers(-1), shape=shape, keepdims=1)
    root = draft.like("Sqrt", draft.like("Add", squares, draft.constant(np.float32(1e-3))))
    return draft.like("Mul", draft.like("Div", x, root), draft.scale(draft.channels(x, 2)))


def _head_width(draft: Draft) -> int:
    return draft.random.choice([2, 3, 4])


def _index(draft: Draft, index: int) -> str:
    return draft.constant(index, np.int64)


def _heads(draft: Draft, value: str, heads: int) -> str:
    """(batch, tokens, heads * width) -> (batch, heads, tokens, width)"""
    batch, tokens, channels = draft.shapes[value]
    return draft.transpose(draft.reshape(value, batch, tokens, heads, int(channels) // heads), 0, 2, 1, 3)


def _attend(draft: Draft, q: str, k: str, v: str) -> str:
    """Mix the values (batch, heads, tokens, width) by the softmax of queries times turned keys."""
    batch, heads, tokens, width = draft.shapes[q]
    shape: list[Size] = [batch, heads, tokens, tokens]
    if draft.coin():
        q = draft.like("Mul", q, draft.constant(int(width) ** -0.5))
        scores = draft.node("MatMul", q, k, shape=shape)
    else:
        scores = draft.like("Div", draft.node("MatMul", q, k, shape=shape), draft.constant(int(width) ** 0.5))
    if draft.random.random() < 0.3:
        scores = draft.like("Add", scores, draft.scale(1, int(heads), int(tokens), int(tokens)))
    return draft.node("MatMul", draft.like("Softmax", scores, axis=-1), v, shape=draft.shapes[q])


def _project(draft: Draft, mixed: str, x: str) -> str:
    """Lay the heads side by side and bring them back to the width of the tokens they are added to."""
    batch, heads, tokens, width = draft.shapes[mixed]
    joined = draft.reshape(draft.transpose(mixed, 0, 2, 1, 3), batch, tokens, int(heads) * int(width))
    return draft.like("Add", x, draft.linear(joined, draft.channels(x, 2)))
