"""Poolings: maximum, average and Lp over windows, and over the whole of each channel."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView, as_integers
from engine.execution.operators.windows import Sizes, Window, torch_pads

_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def max_pool(node: NodeView) -> Kernel:
    """The optional second output tells where each maximum stands in the whole input, counted over all its elements."""
    if node.output_count > 1:
        return _max_pool_with_indices(node)
    window, kernel = Window.of(node), tuple(node.get("kernel_shape"))
    rank = len(kernel)
    pool, strides, dilations = _MAX_POOL[rank], window.strides_for(rank), window.dilations_for(rank)

    def run(x: Tensor) -> Tensor:
        pads = window.resolve_pads(tuple(x.shape[2:]), kernel)
        if pads[:rank] == pads[rank:] and all(2 * pad <= k for pad, k in zip(pads, kernel, strict=False)):
            return pool(x, kernel, strides, pads[:rank], dilations, window.ceil)
        lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        grown = _grow_to_last_window(x, window, kernel, pads, lowest)
        return pool(grown, kernel, strides, 0, dilations)

    return run


def _max_pool_with_indices(node: NodeView) -> Kernel:
    window, kernel = Window.of(node), tuple(node.get("kernel_shape"))
    rank, columns_first = len(kernel), bool(node.get("storage_order", 0))
    pool, strides, dilations = _MAX_POOL[rank], window.strides_for(rank), window.dilations_for(rank)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        pads = window.resolve_pads(tuple(x.shape[2:]), kernel)
        lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        grown = _grow_to_last_window(x, window, kernel, pads, lowest)
        values, places = pool(grown, kernel, strides, 0, dilations, return_indices=True)
        return values, _places_in_whole(places, tuple(grown.shape[2:]), pads, tuple(x.shape), columns_first)

    return run


def _places_in_whole(places: Tensor, grown: Sizes, pads: Sizes, shape: Sizes, columns_first: bool) -> Tensor:
    """Turn places in one padded channel into places in the whole tensor, (batch, channels, ...) in a row."""
    sizes = shape[2:]
    at, stride, inside = places, 1, torch.zeros_like(places)
    weights = []
    for size in sizes if columns_first else reversed(sizes):
        weights.append(stride)
        stride *= size
    weights = weights if columns_first else weights[::-1]
    for i in reversed(range(len(sizes))):
        inside = inside + (at % grown[i] - pads[i]) * weights[i]
        at = at // grown[i]
    channel = torch.arange(shape[0] * shape[1], device=places.device) * stride
    return inside + channel.reshape(*shape[:2], *(1,) * len(sizes))


def max_unpool(node: NodeView) -> Kernel:
    """Put each value where MaxPool found it, counted in the shape that is asked for, and zeros elsewhere."""
    window, kernel = Window.of(node), tuple(node.get("kernel_shape"))
    rank = len(kernel)
    strides, pads = window.strides_for(rank), window.pads_for(rank)

    def run(x: Tensor, places: Tensor, output_shape: Tensor | None = None) -> Tensor:
        least = [(x.shape[2 + i] - 1) * strides[i] - pads[i] - pads[rank + i] + kernel[i] for i in range(rank)]
        shape = (*x.shape[:2], *least) if output_shape is None else as_integers(output_shape)
        return x.new_zeros(math.prod(shape)).scatter(0, places.flatten().to(x.device), x.flatten()).reshape(shape)

    return run


def average_pool(node: NodeView) -> Kernel:
    window, kernel = Window.of(node), tuple(node.get("kernel_shape"))
    count_padding = bool(node.get("count_include_pad", 0))
    rank = len(kernel)
    pool, strides = _AVG_POOL[rank], window.strides_for(rank)
    dilated = any(dilation != 1 for dilation in window.dilations)

    def run(x: Tensor) -> Tensor:
        pads = window.resolve_pads(tuple(x.shape[2:]), kernel)
        fits = pads[:rank] == pads[rank:] and all(2 * pad <= k for pad, k in zip(pads, kernel, strict=False))
        if fits and not dilated:
            return pool(x, kernel, strides, pads[:rank], window.ceil, count_padding)
        inside = F.pad(torch.ones_like(x[:1, :1]), torch_pads(pads), value=float(count_padding))
        inside = _grow_to_last_window(inside, window, kernel, (0,) * (2 * rank), 0.0, like=(x, pads))
        return _window_sums(_grow_to_last_window(x, window, kernel, pads, 0.0), window, kernel) / _window_sums(
            inside, window, kernel
        )

    return run


def lp_pool(node: NodeView) -> Kernel:
    window, kernel = Window.of(node), tuple(node.get("kernel_shape"))
    power = float(node.get("p", 2))

    def run(x: Tensor) -> Tensor:
        pads = window.resolve_pads(tuple(x.shape[2:]), kernel)
        grown = _grow_to_last_window(x.abs().pow(power), window, kernel, pads, 0.0)
        return _window_sums(grown, window, kernel).pow(1 / power)

    return run


def global_average_pool(_: NodeView) -> Kernel:
    return lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


def global_max_pool(_: NodeView) -> Kernel:
    return lambda x: x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def global_lp_pool(node: NodeView) -> Kernel:
    power = float(node.get("p", 2))
    return lambda x: x.abs().pow(power).sum(dim=tuple(range(2, x.dim())), keepdim=True).pow(1 / power)


def _grow_to_last_window(
    x: Tensor, window: Window, kernel: Sizes, pads: Sizes, value: float, like: tuple[Tensor, Sizes] | None = None
) -> Tensor:
    """Pad so that exactly the windows of the output fit, those that rounding up adds included.

    `like` gives the input and padding that the output's size follows from, where they are not `x` and `pads`.
    """
    source, source_pads = (x, pads) if like is None else like
    rank = len(kernel)
    sizes = tuple(source.shape[2:])
    outputs = window.output_sizes(sizes, kernel, source_pads)
    ends = []
    for i in range(rank):
        reach = (kernel[i] - 1) * window.dilations_for(rank)[i] + 1
        needed = (outputs[i] - 1) * window.strides_for(rank)[i] + reach
        ends.append(needed - int(x.shape[2 + i]) - pads[i])
    return F.pad(x, torch_pads((*pads[:rank], *ends)), value=value)


def _window_sums(x: Tensor, window: Window, kernel: Sizes) -> Tensor:
    """Sum each window of each channel: a convolution with ones, which also knows dilation."""
    rank = len(kernel)
    ones = x.new_ones((1, 1, *kernel))
    flat = x.reshape(-1, 1, *x.shape[2:])  # (batch, channels, ...) -> (batch * channels, 1, ...)
    sums = _CONV[rank](flat, ones, None, window.strides_for(rank), 0, window.dilations_for(rank))
    return sums.reshape(*x.shape[:2], *sums.shape[2:])
