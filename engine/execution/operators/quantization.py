"""Integers that stand for numbers: to and from them, and products of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.execution.node import Kernel, NodeView
from engine.execution.operators.convolution import conv
from engine.execution.operators.elementwise import together

_INTEGERS = {torch.int8, torch.uint8, torch.int16, torch.uint16, torch.int32}


def quantize_linear(node: NodeView) -> Kernel:
    """y = round(x / scale) + zero point, cut to the type's range; scales for all, along an axis, or in blocks."""
    axis, block, asked = int(node.get("axis", 1)), int(node.get("block_size", 0)), node.get("output_dtype")
    if node.get("output_dtype", torch.uint8) not in _INTEGERS:
        raise node.refuse("an output type that is no whole number of bytes")

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        target = asked or (torch.uint8 if zero is None else zero.dtype)
        level = torch.round(x / _along(scale.to(x.device), x, axis, block))
        return _cut(level if zero is None else level + _along(zero.to(x.device), x, axis, block).to(level), target)

    return run


def dequantize_linear(node: NodeView) -> Kernel:
    axis, block, asked = int(node.get("axis", 1)), int(node.get("block_size", 0)), node.get("output_dtype")

    def run(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        x, scale = together(x, scale)
        level = x.to(torch.float32 if scale.dtype != torch.float64 else scale.dtype)
        level = level if zero is None else level - _along(zero.to(x.device), x, axis, block).to(level)
        return (level * _along(scale, x, axis, block)).to(asked or scale.dtype)

    return run


def _along(value: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """Bring a scale or zero point to a shape that broadcasts with x: one, one an index of `axis`, or one a block."""
    if value.numel() == 1:
        return value.reshape(())
    if block:
        return value.repeat_interleave(block, dim=axis).narrow(axis, 0, x.shape[axis])
    return value.reshape([-1 if i == axis % x.dim() else 1 for i in range(x.dim())])


def _cut(level: Tensor, target: torch.dtype) -> Tensor:
    limits = torch.iinfo(target)
    return level.clamp(limits.min, limits.max).to(target)


def dynamic_quantize_linear(_: NodeView) -> Kernel:
    """Choose scale and zero point so that 0 to 255 span the tensor's range, zero included."""

    def run(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = x.detach()  # nothing is learnt through rounding, nor through the scale alone
        low, high = x.amin().clamp(max=0), x.amax().clamp(min=0)
        scale = (high - low) / 255
        zero = _cut(torch.round(-low / scale), torch.uint8)
        return _cut(torch.round(x / scale) + zero, torch.uint8), scale, zero

    return run


def _centred(x: Tensor, zero: Tensor | None, per_row: int | None = None) -> Tensor:
    """Return the levels less their zero point in double precision, which holds every sum of products exactly."""
    x = x.double()
    if zero is None:
        return x
    zero = zero.to(x)
    if per_row is not None and zero.dim() == 1 and zero.numel() > 1:
        zero = zero.reshape([-1 if i == per_row % x.dim() else 1 for i in range(x.dim())])
    return x - zero


def matmul_integer(_: NodeView) -> Kernel:
    def run(a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None) -> Tensor:
        return (_centred(a, a_zero, -2) @ _centred(b, b_zero, -1)).to(torch.int32)

    return run


def conv_integer(node: NodeView) -> Kernel:
    convolve = conv(node)

    def run(x: Tensor, weight: Tensor, x_zero: Tensor | None = None, w_zero: Tensor | None = None) -> Tensor:
        y: Tensor = convolve(_centred(x, x_zero), _centred(weight.to(x.device), w_zero, 0))
        return y.round().to(torch.int32)

    return run


def qlinear_matmul(_: NodeView) -> Kernel:
    def run(*inputs: Any) -> Tensor:
        a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = together(*inputs)
        product = _centred(a, a_zero, -2) @ _centred(b, b_zero, -1)
        rows = a_scale if a_scale.numel() == 1 else a_scale.unsqueeze(-1)
        return _cut(torch.round(product * (rows * b_scale / y_scale).double()) + y_zero, y_zero.dtype)

    return run


def qlinear_conv(node: NodeView) -> Kernel:
    convolve = conv(node)

    def run(*inputs: Any) -> Tensor:
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, *bias = together(*inputs)
        y: Tensor = convolve(_centred(x, x_zero), _centred(w, w_zero, 0), bias[0].double() if bias else None)
        factor = (x_scale * w_scale / y_scale).double()
        factor = factor if factor.numel() == 1 else factor.reshape(-1, *(1,) * (x.dim() - 2))
        return _cut(torch.round(y * factor) + y_zero, y_zero.dtype)

    return run
