"""Convolution and its transpose, in one to three dimensions, with every way that ONNX spells padding."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F  # noqa: N812  the name that every reader of PyTorch code knows

from engine.execution.node import Kernel, NodeView
from engine.execution.operators.windows import Window

_CONV = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
_CONV_TRANSPOSE = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}


def conv(node: NodeView) -> Kernel:
    window = Window.of(node)
    groups = int(node.get("group", 1))

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        kernel = tuple(weight.shape[2:])
        x, padding = window.pad(x, kernel, value=0.0)
        rank = len(kernel)
        return _CONV[x.dim()](x, weight, bias, window.strides_for(rank), padding, window.dilations_for(rank), groups)

    return run


def conv_transpose(node: NodeView) -> Kernel:
    window = Window.of(node)
    groups = int(node.get("group", 1))
    extra = node.get("output_padding")
    output_shape = node.get("output_shape")

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        kernel = tuple(weight.shape[2:])
        rank = len(kernel)
        strides, dilations = window.strides_for(rank), window.dilations_for(rank)
        extras = tuple(extra) if extra else (0,) * rank
        full = _CONV_TRANSPOSE[x.dim()](x, weight, bias, strides, 0, 0, groups, dilations)
        begins, ends = _transpose_crop(window, x, kernel, extras, output_shape)
        # cut `begins` and `ends` from the full result; a negative number, as output_padding makes, adds rows of bias
        crop: list[int] = []
        for begin, end in zip(reversed(begins), reversed(ends), strict=True):
            crop += [-begin, -max(end, 0)]
        full = F.pad(full, crop) if any(crop) else full
        return full if min(ends) >= 0 else _grow(full, ends, bias)

    return run


def _transpose_crop(
    window: Window, x: Tensor, kernel: tuple[int, ...], extras: tuple[int, ...], output_shape: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return how much of the full result to cut at the begin and end of each spatial axis."""
    rank = len(kernel)
    strides, dilations = window.strides_for(rank), window.dilations_for(rank)
    if output_shape is None and window.auto_pad in ("NOTSET", "VALID"):
        pads = window.pads_for(rank)
        return pads[:rank], tuple(pads[rank + i] - extras[i] for i in range(rank))
    begins, ends = [], []
    for i in range(rank):
        size = int(x.shape[2 + i])
        full = (size - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1
        wanted = int(output_shape[-rank + i]) if output_shape is not None else size * strides[i]
        total = full + extras[i] - wanted
        begin = max(total // 2 if window.auto_pad == "SAME_UPPER" else total - total // 2, 0) if total > 0 else 0
        begins.append(begin)
        ends.append(total - begin - extras[i])
    return tuple(begins), tuple(ends)


def _grow(x: Tensor, ends: tuple[int, ...], bias: Tensor | None) -> Tensor:
    """Add the rows at the end that output_padding asks for and no input reaches: they hold the bias alone."""
    grow: list[int] = []
    for end in reversed(ends):
        grow += [0, max(-end, 0)]
    if bias is None:
        return F.pad(x, grow)
    bias = bias.reshape(1, -1, *(1,) * len(ends))  # (channels,) -> (1, channels, 1, ...)
    return F.pad(x - bias, grow) + bias
