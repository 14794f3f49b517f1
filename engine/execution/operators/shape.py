"""Operators that change a tensor's shape but none of its elements, and those that speak of shapes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.execution.node import Kernel, NodeView, integers_of


def identity(_: NodeView) -> Kernel:
    return lambda x: x


def dropout(node: NodeView) -> Kernel:
    """Inference only, as exported: the input passes through and the mask is all true."""
    two_outputs = node.output_count > 1

    def run(x: Tensor, _: Tensor | None = None, training: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        if training is not None and training.any():
            raise node.refuse("training_mode = true")
        return (x, torch.ones_like(x, dtype=torch.bool)) if two_outputs else x

    return run


def reshape(node: NodeView) -> Kernel:
    """A zero copies the input's size at its place, unless `allowzero` (opset 14) makes it a size."""
    shape_of, copy_zeros = integers_of(node, 1, "shape"), not node.get("allowzero", 0)

    def run(*inputs: Tensor) -> Tensor:
        x, shape = inputs[0], shape_of(inputs)
        if copy_zeros and 0 in shape:
            shape = tuple(x.shape[i] if size == 0 else size for i, size in enumerate(shape))
        return x.reshape(shape)

    return run


def flatten(node: NodeView) -> Kernel:
    axis = int(node.get("axis", 1))

    def run(x: Tensor) -> Tensor:
        split = axis % x.dim() if axis < 0 else axis
        return x.reshape(math.prod(x.shape[:split]), math.prod(x.shape[split:]))

    return run


def transpose(node: NodeView) -> Kernel:
    order = node.get("perm")
    if order is None:
        return lambda x: x.permute(tuple(reversed(range(x.dim()))))
    fixed = tuple(order)
    return lambda x: x.permute(fixed)


def squeeze(node: NodeView) -> Kernel:
    axes_of = integers_of(node, 1, "axes")

    def run(*inputs: Tensor) -> Tensor:
        x, axes = inputs[0], axes_of(inputs)
        return x.squeeze() if axes is None else x.squeeze(axes)

    return run


def unsqueeze(node: NodeView) -> Kernel:
    axes_of = integers_of(node, 1, "axes")

    def run(*inputs: Tensor) -> Tensor:
        x, axes = inputs[0], axes_of(inputs)
        rank = x.dim() + len(axes)
        for axis in sorted(axis % rank for axis in axes):
            x = x.unsqueeze(axis)
        return x

    return run


def shape(node: NodeView) -> Kernel:
    """Shapes are CPU tensors, wherever the data is; `start` and `end` came with opset 15."""
    start, end = node.get("start", 0), node.get("end")
    return lambda x: torch.tensor(x.shape[start:end], dtype=torch.int64)


def size(_: NodeView) -> Kernel:
    return lambda x: torch.tensor(x.numel(), dtype=torch.int64)


def expand(node: NodeView) -> Kernel:
    shape_of = integers_of(node, 1)

    def run(*inputs: Tensor) -> Tensor:
        x, shape = inputs[0], shape_of(inputs)
        missing = (1,) * (len(shape) - x.dim())
        sizes = zip((*missing, *x.shape), ((1,) * (x.dim() - len(shape)) + shape), strict=True)
        return x.expand([max(ours, theirs) if ours and theirs else 0 for ours, theirs in sizes])

    return run


def tile(node: NodeView) -> Kernel:
    repeats_of = integers_of(node, 1)
    return lambda *inputs: inputs[0].repeat(repeats_of(inputs))


def depth_to_space(node: NodeView) -> Kernel:
    side, depth_first = int(node.get("blocksize")), node.get("mode", "DCR") == "DCR"

    def run(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        inner = c // (side * side)
        if depth_first:
            x = x.reshape(n, side, side, inner, h, w).permute(0, 3, 4, 1, 5, 2)
        else:
            x = x.reshape(n, inner, side, side, h, w).permute(0, 1, 4, 2, 5, 3)
        return x.reshape(n, inner, h * side, w * side)  # (n, inner, h, side, w, side) -> (n, inner, h*side, w*side)

    return run


def space_to_depth(node: NodeView) -> Kernel:
    side, depth_first = int(node.get("blocksize")), node.get("mode", "DCR") == "DCR"

    def run(x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // side, side, w // side, side)
        x = x.permute(0, 3, 5, 1, 2, 4) if depth_first else x.permute(0, 1, 3, 5, 2, 4)
        return x.reshape(n, c * side * side, h // side, w // side)

    return run
