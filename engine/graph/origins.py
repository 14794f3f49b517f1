"""Origins: from which column of which layer each number of a value comes, moved along with what only moves numbers.

They have the value's shape, with 1 for sizes that are open: along those all numbers come from the same column.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from engine.graph.edits import kind

Origins = npt.NDArray[np.int64]


class Lost(Exception):
    """Origins cannot be followed any further; the message says where and why."""


def sizes_of(value: ir.Value) -> list[int | None]:
    """Return the shape, None for open sizes. Raises Lost where not even the number of axes is known."""
    if value.shape is None:
        raise Lost(f"the shape of '{value.name}' is not known")
    return [size if isinstance(size, int) else None for size in value.shape]


def spread(origins: Origins, value: ir.Value) -> Origins:
    """Return origins that broadcast to a value as origins of it."""
    return np.broadcast_to(origins, [size or 1 for size in sizes_of(value)])


def move(node: ir.Node, origins: Origins) -> list[Origins]:
    """Return the origins of each output of a node that moves numbers and does nothing else. Raises Lost."""
    mover = _MOVERS.get(kind(node))
    if mover is None:
        raise Lost(f"'{node.name}' ({node.op_type}) stands between")
    try:
        found = mover(node, origins)
    except (IndexError, ValueError) as error:
        raise Lost(f"'{node.name}' ({node.op_type}) moves them in a way that is not known: {error}") from error
    if any(0 in each.shape for each in found):
        raise Lost(f"'{node.name}' ({node.op_type}) moves sizes that are open")
    return found


def _reshape(node: ir.Node, origins: Origins) -> list[Origins]:
    """Sizes that are known may come out of one that was open: rows of Gemm, parted into images and tokens again."""
    wanted, read = sizes_of(node.outputs[0]), node.inputs[0]
    assert read is not None
    if wanted.count(None) > 1 and wanted[0] is None:  # the batch stays in front where there are other open sizes
        wanted[0] = 1
    known = math.prod(size for size in wanted if size is not None)
    opened = [axis for axis, size in enumerate(sizes_of(read)) if size is None]
    if opened and origins.size < known:
        shape = list(origins.shape)
        shape[opened[0]] = known // origins.size
        origins = np.broadcast_to(origins, shape)
    return [origins.reshape([-1 if size is None else size for size in wanted])]


def _transpose(node: ir.Node, origins: Origins) -> list[Origins]:
    order = node.attributes.get_ints("perm", ())
    return [origins.transpose(order or range(origins.ndim)[::-1])]


def _squeeze(node: ir.Node, origins: Origins) -> list[Origins]:
    read = node.inputs[0]
    assert read is not None
    given = _numbers(node, 1) if len(node.inputs) > 1 else [a for a, size in enumerate(sizes_of(read)) if size == 1]
    return [np.squeeze(origins, tuple(given))]


def _unsqueeze(node: ir.Node, origins: Origins) -> list[Origins]:
    return [np.expand_dims(origins, tuple(_numbers(node, 1)))]


def _gather(node: ir.Node, origins: Origins) -> list[Origins]:
    index, axis = node.inputs[1], node.attributes.get_int("axis", 0)
    assert index is not None
    numbers = _numbers(node, 1)
    picked = np.take(origins, numbers, axis)
    return [picked if index.shape is None or len(index.shape) else np.squeeze(picked, axis)]


def _slice(node: ir.Node, origins: Origins) -> list[Origins]:
    starts, ends = _numbers(node, 1), _numbers(node, 2)
    axes = _numbers(node, 3) if len(node.inputs) > 3 else list(range(len(starts)))
    steps = _numbers(node, 4) if len(node.inputs) > 4 else [1] * len(starts)
    cut = [slice(None)] * origins.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise Lost(f"'{node.name}' (Slice) goes backwards")
        cut[axis] = slice(start, end, step)
    return [origins[tuple(cut)]]


def _split(node: ir.Node, origins: Origins) -> list[Origins]:
    axis = node.attributes.get_int("axis", 0)
    sizes = [sizes_of(value)[axis] for value in node.outputs]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes) or sum(known) != origins.shape[axis]:
        raise Lost(f"'{node.name}' (Split) makes pieces whose sizes are open")
    return list(np.split(origins, np.cumsum(known)[:-1], axis))


def _expand(node: ir.Node, origins: Origins) -> list[Origins]:
    return [spread(origins, node.outputs[0])]


def _as_it_is(node: ir.Node, origins: Origins) -> list[Origins]:
    return [origins]


def _numbers(node: ir.Node, index: int) -> list[int]:
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None or value.is_graph_input() or value.const_value is None:
        raise Lost(f"'{node.name}' ({node.op_type}) is told how only when the network runs")
    return [int(number) for number in value.const_value.numpy().reshape(-1)]


_MOVERS: dict[str, Callable[[ir.Node, Origins], list[Origins]]] = {
    "Expand": _expand,
    "Flatten": _reshape,
    "Gather": _gather,
    "Identity": _as_it_is,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
