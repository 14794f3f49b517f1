"""Operators that pick and place by their own rules: from the middle, backwards, once each, or patches into an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView, integers_of
from engine.execution.operators.windows import Window, torch_pads


def center_crop_pad(node: NodeView) -> Kernel:
    """Cut or pad each axis evenly at both ends; an odd element goes or comes at the end."""
    shape_of, axes = integers_of(node, 1), node.get("axes")

    def run(*inputs: Tensor) -> Tensor:
        x = inputs[0]
        dims = range(x.dim()) if axes is None else axes
        for axis, wanted in zip(dims, shape_of(inputs), strict=True):
            spare = x.shape[axis] - wanted
            if spare >= 0:
                x = x.narrow(axis, spare // 2, wanted)
            else:
                begin, pads = -spare // 2, [0] * (2 * x.dim())
                pads[axis % x.dim()], pads[x.dim() + axis % x.dim()] = begin, -spare - begin
                x = F.pad(x, torch_pads(tuple(pads)))
        return x

    return run


def reverse_sequence(node: NodeView) -> Kernel:
    """Turn round the first elements of each sequence, as many as it has, and leave what comes behind them."""
    batch_axis, time_axis = int(node.get("batch_axis", 1)), int(node.get("time_axis", 0))

    def run(x: Tensor, lengths: Tensor) -> Tensor:
        at = torch.arange(x.shape[time_axis], device=x.device)
        lengths = lengths.to(x.device)[:, None]
        at = torch.where(at < lengths, lengths - 1 - at, at)  # (batch, time)
        at = at if batch_axis < time_axis else at.t()
        shape = [size if axis in (batch_axis, time_axis) else 1 for axis, size in enumerate(x.shape)]
        return x.gather(time_axis, at.reshape(shape).expand_as(x))

    return run


def compress(node: NodeView) -> Kernel:
    """Keep the elements, or the slices along an axis, where the condition holds; a short condition drops the rest."""
    axis = node.get("axis")

    def run(x: Tensor, condition: Tensor) -> Tensor:
        kept = condition.nonzero().flatten().to(x.device)
        return x.flatten().index_select(0, kept) if axis is None else x.index_select(axis, kept)

    return run


def unique(node: NodeView) -> Kernel:
    """Also tell where each first stands, which one every element is, and how many of each there are."""
    axis, in_order, alone = node.get("axis"), bool(node.get("sorted", 1)), node.output_count == 1

    def run(x: Tensor) -> Tensor | tuple[Tensor, ...]:
        dim = 0 if axis is None else axis
        x = x.flatten() if axis is None else x
        _, inverse, counts = torch.unique(x.detach(), sorted=True, return_inverse=True, return_counts=True, dim=dim)
        places = torch.arange(len(inverse), device=x.device)
        first = places.new_full((len(counts),), len(inverse)).scatter_reduce(0, inverse, places, "amin")
        if not in_order:  # by first appearance
            order = first.argsort()
            rank = torch.empty_like(order).scatter(0, order, torch.arange(len(order), device=x.device))
            first, counts, inverse = first[order], counts[order], rank[inverse]
        values = x.index_select(dim, first)
        return values if alone else (values, first, inverse, counts)

    return run


def col2im(node: NodeView) -> Kernel:
    """Add each column back to the window that it stands for; any number of spatial axes."""
    image_of, block_of, window = integers_of(node, 1), integers_of(node, 2), Window.of(node)

    def run(*inputs: Tensor) -> Tensor:
        columns, image, block = inputs[0], image_of(inputs), block_of(inputs)
        rank = len(image)
        strides, dilations, pads = window.strides_for(rank), window.dilations_for(rank), window.pads_for(rank)
        padded = [image[i] + pads[i] + pads[rank + i] for i in range(rank)]
        at = torch.zeros(1, 1, dtype=torch.int64)  # (taps, windows) -> place in the padded image
        for i in range(rank):
            windows = (padded[i] - (block[i] - 1) * dilations[i] - 1) // strides[i] + 1
            along = torch.arange(block[i])[:, None] * dilations[i] + torch.arange(windows) * strides[i]
            grid = at[:, None, :, None] * padded[i] + along[None, :, None, :]
            at = grid.reshape(at.shape[0] * block[i], at.shape[1] * windows)
        batch, channels = columns.shape[0], columns.shape[1] // math.prod(block)
        flat = columns.reshape(batch, channels, -1)  # (batch, channels * taps, windows) -> (..., taps * windows)
        total = flat.new_zeros((batch, channels, math.prod(padded)))
        total = total.index_add(2, at.flatten().to(flat.device), flat).reshape(batch, channels, *padded)
        return F.pad(total, torch_pads(tuple(-pad for pad in pads)))

    return run
