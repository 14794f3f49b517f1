"""Arithmetic, comparison and logic, one element at a time, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from engine.execution.node import Kernel, NodeView


def together(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Bring tensors to one device: shape arithmetic and integer constants stay on the CPU until they meet data."""
    device = next((tensor.device for tensor in tensors if tensor.device.type != "cpu"), None)
    return tensors if device is None else tuple(tensor.to(device) for tensor in tensors)


def unary(function: Callable[[Tensor], Tensor]) -> Callable[[NodeView], Kernel]:
    """Make the builder of an operator that is one PyTorch function of one tensor."""
    return lambda _: function


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[NodeView], Kernel]:
    """Make the builder of an operator that is one PyTorch function of two tensors."""

    def build(node: NodeView) -> Kernel:
        if node.device.type == "cpu":
            return function
        return lambda a, b: function(*together(a, b))

    return build


def variadic(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[NodeView], Kernel]:
    """Make the builder of an operator that folds any number of tensors with a function of two."""
    return lambda _: lambda *operands: reduce(function, together(*operands))


def mean(_: NodeView) -> Kernel:
    return lambda *operands: reduce(torch.add, together(*operands)) / len(operands)


def div(node: NodeView) -> Kernel:
    """Integers divide towards zero, as in C."""

    def run(a: Tensor, b: Tensor) -> Tensor:
        return torch.div(a, b) if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")

    return binary(run)(node)


def power(node: NodeView) -> Kernel:
    """The result has the type of the base, whatever the exponent's."""
    return binary(lambda a, b: torch.pow(a, b).to(a.dtype))(node)


def mod(node: NodeView) -> Kernel:
    return binary(torch.fmod if node.get("fmod", 0) else torch.remainder)(node)


def bit_shift(node: NodeView) -> Kernel:
    left = node.get("direction") == "LEFT"
    return binary(torch.bitwise_left_shift if left else torch.bitwise_right_shift)(node)


def where(_: NodeView) -> Kernel:
    return lambda condition, a, b: torch.where(*together(condition, a, b))


def is_inf(node: NodeView) -> Kernel:
    positive, negative = bool(node.get("detect_positive", 1)), bool(node.get("detect_negative", 1))
    return lambda x: (torch.isposinf(x) & positive) | (torch.isneginf(x) & negative)


def cast(node: NodeView) -> Kernel:
    target: torch.dtype | None = node.get("to")
    if target is None:
        raise node.refuse("an element type that PyTorch does not have")
    return lambda x: x.to(target)


def cast_like(_: NodeView) -> Kernel:
    def run(x: Tensor, like: Any) -> Tensor:
        return x.to(like.dtype)

    return run
