"""Matrix products."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView


def gemm(node: NodeView) -> Kernel:
    alpha, beta = float(node.get("alpha", 1.0)), float(node.get("beta", 1.0))
    transpose_a, transpose_b = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    plain = transpose_b and not transpose_a and alpha == 1 and beta == 1

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        if plain and (c is None or c.dim() == 1):
            return F.linear(a, b, c)
        product = (a.t() if transpose_a else a) @ (b.t() if transpose_b else b)
        product = product if alpha == 1 else product * alpha
        if c is None:
            return product
        return product + (c if beta == 1 else c * beta)

    return run


def matmul(_: NodeView) -> Kernel:
    return torch.matmul


def einsum(node: NodeView) -> Kernel:
    equation = str(node.get("equation"))
    return lambda *operands: torch.einsum(equation, *operands)
