"""Attention in all its spellings."""

from __future__ import annotations

import numpy as np

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import TOKENS, Case, adding_to, between_layers
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


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
