"""Operators that pick, join, cut and fill: which element goes where."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from engine.execution.node import Kernel, NodeView, as_integers, integers_of
from engine.execution.operators.elementwise import together
from engine.execution.operators.windows import torch_pads

_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}
"""ONNX's names and PyTorch's of what happens where something is written more than once."""


def concat(node: NodeView) -> Kernel:
    axis = int(node.get("axis"))
    return lambda *parts: torch.cat(together(*parts), dim=axis)


def split(node: NodeView) -> Kernel:
    """Sizes come from an attribute (to opset 12) or an input; without them all parts are equal but the last."""
    axis, sizes_of, count = int(node.get("axis", 0)), integers_of(node, 1, "split"), node.output_count

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        x, sizes = inputs[0], sizes_of(inputs)
        if sizes is None:
            total = x.shape[axis]
            part = -(-total // count)
            sizes = [min(part, max(total - i * part, 0)) for i in range(count)]
        return torch.split(x, list(sizes), dim=axis)

    return run


def slice_(node: NodeView) -> Kernel:
    starts_of, ends_of = integers_of(node, 1, "starts"), integers_of(node, 2, "ends")
    axes_of, steps_of = integers_of(node, 3, "axes"), integers_of(node, 4, "steps")

    def run(*inputs: Any) -> Tensor:
        x: Tensor = inputs[0]
        starts, ends = starts_of(inputs), ends_of(inputs)
        axes = axes_of(inputs) or tuple(range(len(starts)))
        steps = steps_of(inputs) or (1,) * len(starts)
        forward = [slice(None)] * x.dim()
        backward = []
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            if step > 0:
                forward[axis] = slice(*slice(start, end, step).indices(x.shape[axis]))
            else:
                backward.append((axis, start, end, step))
        x = x[tuple(forward)]
        for axis, start, end, step in backward:
            x = x.index_select(axis, _countdown(x.shape[axis], start, end, step).to(x.device))
        return x

    return run


def _countdown(size: int, start: int, end: int, step: int) -> Tensor:
    """List the indices of a slice with a negative step, by ONNX's rules for what lies outside."""
    first = min(max(start + size if start < 0 else start, 0), size - 1)
    last = min(max(end + size if end < 0 else end, -1), size - 1)
    return torch.tensor(range(first, last, step), dtype=torch.int64)


def gather(node: NodeView) -> Kernel:
    axis, indices = int(node.get("axis", 0)), node.constants[1] if len(node.constants) > 1 else None
    if indices is not None and indices.dim() == 0:
        position = int(indices)
        return lambda x, _: x.select(axis, position)

    def run(x: Tensor, indices: Tensor) -> Tensor:
        dim = axis % x.dim()
        flat = torch.where(indices < 0, indices + x.shape[dim], indices).flatten().to(x.device)
        return x.index_select(dim, flat).reshape(*x.shape[:dim], *indices.shape, *x.shape[dim + 1 :])

    return run


def gather_elements(node: NodeView) -> Kernel:
    axis = int(node.get("axis", 0))
    return lambda x, indices: x.gather(axis, _not_negative(indices, x.shape[axis]).to(x.device))


def gather_nd(node: NodeView) -> Kernel:
    batch_dims = int(node.get("batch_dims", 0))

    def run(x: Tensor, indices: Tensor) -> Tensor:
        indices = indices.to(x.device)
        if batch_dims == 0:
            return x[tuple(indices.long().unbind(-1))]
        shape = indices.shape[:batch_dims]
        rows = x.reshape(-1, *x.shape[batch_dims:])
        picks = indices.reshape(-1, *indices.shape[batch_dims:])
        parts = [row[tuple(pick.long().unbind(-1))] for row, pick in zip(rows, picks, strict=True)]
        return torch.stack(parts).reshape(*shape, *parts[0].shape)

    return run


def scatter_elements(node: NodeView) -> Kernel:
    axis, reduction = int(node.get("axis", 0)), str(node.get("reduction", "none"))

    def run(x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        x, indices, updates = together(x, _not_negative(indices, x.shape[axis]), updates)
        if reduction == "none":
            return x.scatter(axis, indices, updates)
        return x.scatter_reduce(axis, indices, updates, _REDUCTIONS[reduction])

    return run


def scatter_nd(node: NodeView) -> Kernel:
    reduction = str(node.get("reduction", "none"))

    def run(x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
        x, indices, updates = together(x, indices, updates)
        places = tuple(_not_negative(part, x.shape[i]) for i, part in enumerate(indices.long().unbind(-1)))
        if reduction in ("none", "add"):
            return x.index_put(places, updates, accumulate=reduction == "add")
        depth = len(places)
        row = torch.zeros_like(places[0])
        for i, place in enumerate(places):
            row = row * x.shape[i] + place
        rows = x.reshape(math.prod(x.shape[:depth]), -1)  # (indexed axes, the rest)
        changes = updates.reshape(row.numel(), -1)
        at = row.reshape(-1, 1).expand_as(changes)
        return rows.scatter_reduce(0, at, changes, _REDUCTIONS[reduction]).reshape(x.shape)

    return run


def _not_negative(indices: Tensor, size: int) -> Tensor:
    return torch.where(indices < 0, indices + size, indices).long()


def pad(node: NodeView) -> Kernel:
    """Pads come from an attribute before opset 11, from an input since; opset 18 adds axes, 19 the mode `wrap`."""
    pads_of, axes_of, mode = integers_of(node, 1, "pads"), integers_of(node, 3), str(node.get("mode", "constant"))
    fixed = node.get("value")

    def run(*inputs: Any) -> Tensor:
        x = inputs[0]
        pads = _pads_of_all_axes(x.dim(), pads_of(inputs), axes_of(inputs))
        if mode != "constant":
            return _pad_by_index(x, pads, mode)
        value = inputs[2].item() if len(inputs) > 2 and inputs[2] is not None else fixed or 0
        return F.pad(x, torch_pads(pads), value=value)

    return run


def _pads_of_all_axes(rank: int, pads: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    if axes is None:
        return pads
    begins, ends = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        begins[axis], ends[axis] = pads[i], pads[len(axes) + i]
    return (*begins, *ends)


def _pad_by_index(x: Tensor, pads: tuple[int, ...], mode: str) -> Tensor:
    """Pad one axis after the other by picking rows: reflect without repeating the border, edge, or wrap."""
    rank = x.dim()
    for axis in range(rank):
        begin, end, length = pads[axis], pads[rank + axis], x.shape[axis]
        if not begin and not end:
            continue
        at = torch.arange(-begin, length + end)
        if mode == "edge":
            at = at.clamp(0, length - 1)
        elif mode == "wrap":
            at = at % length
        else:
            period = max(2 * (length - 1), 1)
            at = (length - 1) - (at % period - (length - 1)).abs()
        x = x.index_select(axis, at.to(x.device))
    return x


def constant(node: NodeView) -> Kernel:
    """The value is a tensor, or one or several plain numbers."""
    value = next((v for k, v in node.attributes.items() if k in _CONSTANT_TYPES), None)
    if value is None:
        raise node.refuse("a sparse or text value")
    kind = next(kind for name, kind in _CONSTANT_TYPES.items() if name in node.attributes)
    tensor = value if isinstance(value, Tensor) else torch.tensor(value, dtype=kind)
    return lambda: tensor


_CONSTANT_TYPES = {
    "value": None,
    "value_float": torch.float32,
    "value_floats": torch.float32,
    "value_int": torch.int64,
    "value_ints": torch.int64,
}


def constant_of_shape(node: NodeView) -> Kernel:
    shape_of = integers_of(node, 0)
    value: Tensor | None = node.get("value")
    fill = torch.zeros(1) if value is None else value
    return lambda *inputs: torch.full(shape_of(inputs), fill.item(), dtype=fill.dtype)


def range_(_: NodeView) -> Kernel:
    def run(start: Tensor, limit: Tensor, step: Tensor) -> Tensor:
        return torch.arange(start.item(), limit.item(), step.item(), dtype=start.dtype, device=start.device)

    return run


def trilu(node: NodeView) -> Kernel:
    cut = torch.triu if node.get("upper", 1) else torch.tril

    def run(x: Tensor, k: Tensor | None = None) -> Tensor:
        return cut(x, 0 if k is None else as_integers(k)[0])

    return run


def one_hot(node: NodeView) -> Kernel:
    axis = int(node.get("axis", -1))

    def run(indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
        classes = torch.arange(int(depth.flatten()[0]), device=indices.device)
        dim = axis % (indices.dim() + 1)
        count = len(classes)
        wrapped = torch.where(indices < 0, indices + count, indices)  # what is out of range matches no class
        hot = wrapped.unsqueeze(dim) == classes.reshape(-1, *(1,) * (indices.dim() - dim))
        off, on = values.to(indices.device).unbind()
        return torch.where(hot, on, off)

    return run


def non_zero(_: NodeView) -> Kernel:
    return lambda x: torch.nonzero(x).t()


def eye_like(node: NodeView) -> Kernel:
    offset, target = int(node.get("k", 0)), node.get("dtype")

    def run(x: Tensor) -> Tensor:
        rows, columns = x.shape
        at = torch.arange(columns)[None, :] - torch.arange(rows)[:, None] == offset
        return at.to(device=x.device, dtype=target or x.dtype)

    return run
