"""Reductions along axes, which older opsets keep in an attribute and newer ones in an input, and searches along one."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from engine.execution.node import Kernel, NodeView, as_integers, integers_of

Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def reducing(function: Reduce) -> Callable[[NodeView], Kernel]:
    """Make the builder of a reduction from a function of tensor, axes and keepdims."""

    def build(node: NodeView) -> Kernel:
        axes_of = integers_of(node, 1, "axes")
        keep, nothing_if_empty = bool(node.get("keepdims", 1)), bool(node.get("noop_with_empty_axes", 0))

        def run(*inputs: Tensor) -> Tensor:
            x, axes = inputs[0], axes_of(inputs)
            if not axes and nothing_if_empty:
                return function(x.unsqueeze(0), (0,), False)  # each element is reduced alone
            return function(x, axes or tuple(range(x.dim())), keep)

        return run

    return build


def reduce_product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(dim=axis, keepdim=keep)
    return x


def reduce_max(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.amax(dim=axes, keepdim=keep) if x.numel() else _of_nothing(x, axes, keep, _bounds(x.dtype)[0])


def reduce_min(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.amin(dim=axes, keepdim=keep) if x.numel() else _of_nothing(x, axes, keep, _bounds(x.dtype)[1])


def _of_nothing(x: Tensor, axes: tuple[int, ...], keep: bool, value: float) -> Tensor:
    """Return what a reduction of no elements starts from, in the shape that it would have."""
    return torch.full_like(x.sum(dim=axes, keepdim=keep), value, dtype=x.dtype)


def _bounds(dtype: torch.dtype) -> tuple[float, float]:
    if dtype == torch.bool:
        return 0, 1
    return (-math.inf, math.inf) if dtype.is_floating_point else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)


def reduce_sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return x.sum(dim=axes, keepdim=keep).to(x.dtype)


def reduce_mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if x.is_floating_point():
        return x.mean(dim=axes, keepdim=keep)
    return x.double().mean(dim=axes, keepdim=keep).to(x.dtype)


def reduce_l2(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    floating = x if x.is_floating_point() else x.double()
    return floating.square().sum(dim=axes, keepdim=keep).sqrt().to(x.dtype)


def arg_max(node: NodeView) -> Kernel:
    return _arg(node, torch.argmax)


def arg_min(node: NodeView) -> Kernel:
    return _arg(node, torch.argmin)


def _arg(node: NodeView, search: Callable[..., Tensor]) -> Kernel:
    axis, keep = int(node.get("axis", 0)), bool(node.get("keepdims", 1))
    last = bool(node.get("select_last_index", 0))

    def run(x: Tensor) -> Tensor:
        if last:
            return x.shape[axis] - 1 - search(x.flip(axis), dim=axis, keepdim=keep)
        return search(x, dim=axis, keepdim=keep)

    return run


def top_k(node: NodeView) -> Kernel:
    axis, largest = int(node.get("axis", -1)), bool(node.get("largest", 1))
    fixed = node.get("k")

    def run(x: Tensor, k: Tensor | None = None) -> tuple[Tensor, Tensor]:
        count = int(fixed) if k is None else as_integers(k)[0]
        # a stable sort, so that of equal elements the first wins, as ONNX asks
        values, indices = torch.sort(x, dim=axis, descending=largest, stable=True)
        return values.narrow(axis, 0, count), indices.narrow(axis, 0, count)

    return run


def cum_sum(node: NodeView) -> Kernel:
    exclusive, backwards = bool(node.get("exclusive", 0)), bool(node.get("reverse", 0))

    def run(x: Tensor, axis: Tensor) -> Tensor:
        dim = as_integers(axis)[0]
        x = x.flip(dim) if backwards else x
        total = torch.cumsum(x, dim).to(x.dtype)
        total = total - x if exclusive else total
        return total.flip(dim) if backwards else total

    return run
