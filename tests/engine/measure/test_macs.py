"""Each operator's multiply-accumulates, worked out by hand."""

from __future__ import annotations

import pytest

from engine.measure.macs import FREE, RULES, macs_of
from tests.engine.measure.conftest import Parse

CASES = {
    "einsum": (
        """agraph (float[2, 3, 4] x, float[4, 5] w) => (float[2, 3, 5] y)
            { y = Einsum<equation = "bij,jk->bik">(x, w) }""",
        2 * 3 * 4 * 5,
    ),
    "attention with heads apart": (
        """agraph (float[2, 3, 7, 8] q, float[2, 3, 9, 8] k, float[2, 3, 9, 6] v) => (float[2, 3, 7, 6] y)
            { y = Attention(q, k, v) }""",
        2 * 3 * 7 * 9 * (8 + 6),
    ),
    "attention with heads side by side": (
        """agraph (float[2, 7, 24] q, float[2, 9, 24] k, float[2, 9, 18] v) => (float[2, 7, 18] y)
            { y = Attention<q_num_heads = 3, kv_num_heads = 3>(q, k, v) }""",
        2 * 3 * 7 * 9 * (8 + 6),
    ),
    "grouped queries": (
        """agraph (float[2, 7, 32] q, float[2, 9, 16] k, float[2, 9, 16] v) => (float[2, 7, 32] y)
            { y = Attention<q_num_heads = 4, kv_num_heads = 2>(q, k, v) }""",
        2 * 4 * 7 * 9 * (8 + 8),
    ),
    "lstm": (
        """agraph (float[5, 2, 3] x, float[1, 16, 3] w, float[1, 16, 4] r) => (float[5, 1, 2, 4] y)
            { y = LSTM<hidden_size = 4>(x, w, r) }""",
        5 * 2 * (16 * 3 + 16 * 4),
    ),
    "quantised convolution": (
        """agraph (uint8[1, 2, 6, 6] x, float s, uint8 z, int8[4, 2, 3, 3] w) => (uint8[1, 4, 4, 4] y)
            { y = QLinearConv(x, s, z, w, s, z, s, z) }""",
        4 * 4 * 4 * 2 * 9,
    ),
}
UNCOUNTED = {
    "three factors have no one order": """agraph (float[2, 2] x) => (float[2, 2] y)
        { y = Einsum<equation = "ij,jk,kl->il">(x, x, x) }""",
    "letters hidden in dots": """agraph (float[2, 2] x) => (float[2, 2] y)
        { y = Einsum<equation = "...j,jk->...k">(x, x) }""",
    "keys of the past": """agraph (float[2, 3, 7, 8] q, float[2, 3, 9, 8] k) => (float[2, 3, 7, 8] y)
        { y = Attention(q, k, k, , k, k) }""",
    "an open size": "agraph (float[n, 4] x, float[4, 5] w) => (float[n, 5] y) { y = MatMul(x, w) }",
    "no rule": "agraph (float[2, 4] x) => (float[2, 4] y) { y = Relu(x) }",
}


@pytest.mark.parametrize("name", CASES)
def test_counted_by_hand(name: str, parse: Parse) -> None:
    text, macs = CASES[name]

    assert macs_of(parse(text).graph[0]) == macs


MOVING = {
    "a comparison": "agraph (float[2, 4] x) => (bool[2, 4] y) { y = Less(x, x) }",
    "a truth of truths": "agraph (bool[2, 4] x) => (bool[2, 4] y) { y = Xor(x, x) }",
    "the largest": "agraph (float[2, 4] x) => (float[2, 4] y) { y = Max(x, x) }",
    "where the largest is": "agraph (float[2, 4] x) => (int64[2, 1] y) { y = ArgMax<axis = 1>(x) }",
    "a triangle": "agraph (float[4, 4] x) => (float[4, 4] y) { y = Trilu(x) }",
    "an open size": "agraph (float[n, 4] x, int64[m, 1] at) => (float[m, 4] y) { y = GatherND(x, at) }",
}


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_compares_or_chooses_costs_no_multiplication(name: str, parse: Parse) -> None:
    assert macs_of(parse(MOVING[name]).graph[0]) == 0


@pytest.mark.parametrize("name", UNCOUNTED)
def test_what_cannot_be_told_is_not_guessed(name: str, parse: Parse) -> None:
    assert macs_of(parse(UNCOUNTED[name]).graph[0]) is None


def test_no_operator_is_both_counted_and_free() -> None:
    assert not FREE & set(RULES)
