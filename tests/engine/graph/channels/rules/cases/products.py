"""Products of matrices, with weights on either side or on none."""

from __future__ import annotations

import numpy as np

from engine.graph.model import Model
from tests.engine.graph.channels.rules.cases.drafting import Case, adding_to, between_layers
from tests.networks import Draft

CASES: dict[str, Case] = {}
case = adding_to(CASES)


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
