"""Whether the arguments of nodes fit what they are applied to: axes, indices, sizes and counts.

Of those that are stored, the short ones are looked at; what is only known when the network runs, the runtime checks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from engine.formats.checks.facts import Read, Sizes, as_text

_LARGEST_SCALE = 1 << 16


def _axis(read: Read) -> None:
    """The axis is one that the input has."""
    sizes, axis = read.sizes(0), read.integer("axis", 0)
    room = 1 if read.node.op_type == "Flatten" else 0
    if sizes is not None:
        inside = -len(sizes) <= axis < len(sizes) + room
        read.require_that(inside, f"works along axis {axis} of {as_text(sizes)}")


def _permuted(read: Read) -> None:
    sizes, order = read.sizes(0), read.integers("perm")
    read.require_that(
        sizes is None or not order or len(order) == len(sizes), f"reorders {sizes and as_text(sizes)} by {order}"
    )


def _reshaped(read: Read) -> None:
    wanted, sizes = read.numbers(1), read.sizes(0)
    if wanted is None:
        return
    read.require_that(min(wanted, default=0) >= -1 and wanted.count(-1) < 2, f"is given the sizes {wanted}")
    if sizes is None:
        return
    if not read.integer("allowzero", 0):
        kept = max((place for place, size in enumerate(wanted) if size == 0), default=-1)
        read.require_that(kept < len(sizes), f"keeps size {kept} of {as_text(sizes)}, which is not there")
    if None not in sizes and 0 not in wanted:
        have, want = math.prod(size or 0 for size in sizes), abs(math.prod(map(int, wanted)))
        fits = have % want == 0 if -1 in wanted else have == want
        read.require_that(fits, f"turns {have} elements into {want}{' times some' if -1 in wanted else ''}")


def _grown(read: Read) -> None:
    for index in range(len(read.node.input)):
        numbers = read.numbers(index) if index or read.node.op_type == "ConstantOfShape" else None
        read.require_that(
            min(numbers or [0]) >= (-1 if read.node.op_type == "Expand" else 0), f"is given the sizes {numbers}"
        )


def _scaled(read: Read) -> None:
    """Scales are positive numbers, and sizes at least one."""
    for index in range(1, len(read.node.input)):
        numbers = read.numbers(index)
        if read.node.op_type == "Resize" and index == 1:
            continue  # a region of interest
        sane = all(0 < number <= _LARGEST_SCALE for number in numbers or ())
        read.require_that(sane, f"is given the scales or sizes {numbers}")


def _picked(read: Read) -> None:
    """Indices lie within the axis that they are taken from."""
    _axis(read)
    size = _size_along(read, read.integer("axis", 0))
    for index in read.numbers(1) or ():
        read.require_that(size is None or -size <= index < size, f"takes entry {int(index)} of an axis of {size}")


def _sliced(read: Read) -> None:
    """Starts, ends, axes and steps are as many, and no step stands still."""
    starts, axes = read.numbers(1), read.numbers(3)
    lengths = {len(numbers) for index in range(1, 5) if (numbers := read.numbers(index)) is not None}
    read.require_that(len(lengths) < 2, f"has starts, ends, axes and steps of the lengths {sorted(lengths)}")
    read.require_that(0 not in (read.numbers(4) or ()), "has a step of 0")
    _require_axes(read, axes if read.has(3) else [*range(len(starts or ()))], read.sizes(0))


def _split(read: Read) -> None:
    """The parts together are the whole."""
    _axis(read)
    parts = read.integers("split") or read.numbers(1)
    if parts is None:
        return
    size, named = _size_along(read, read.integer("axis", 0)), [int(part) for part in parts]
    read.require_that(len(named) == len(read.node.output), f"has {len(read.node.output)} outputs for parts of {named}")
    read.require_that(min(named, default=0) >= 0, f"has parts of {named}")
    read.require_that(size is None or sum(named) == size, f"splits an axis of {size} into parts of {named}")


def _largest_few(read: Read) -> None:
    axis = read.integer("axis", -1)
    _require_axes(read, [axis], read.sizes(0))
    size = _size_along(read, axis)
    for count in read.numbers(1) or ():
        read.require_that(count >= 0 and (size is None or count <= size), f"takes {int(count)} of an axis of {size}")


def _reduced(read: Read) -> None:
    _require_axes(read, _axes(read), read.sizes(0))


def _squeezed(read: Read) -> None:
    """Only axes of one vanish."""
    axes, sizes = _axes(read), read.sizes(0)
    _require_axes(read, axes, sizes)
    for axis in axes or ():
        gone = _size_along(read, int(axis))
        read.require_that(gone in (1, None), f"drops axis {int(axis)} of {sizes and as_text(sizes)}")


def _unsqueezed(read: Read) -> None:
    """Axes are counted in what comes out."""
    axes, sizes = _axes(read), read.sizes(0)
    if axes is not None and sizes is not None:
        _require_axes(read, axes, (*sizes, *[1] * len(axes)))


def _counted(read: Read) -> None:
    read.require_that(0 not in (read.numbers(2) or ()), "counts in steps of 0")


def _attending(read: Read) -> None:
    """Queries, keys and values are (batch, heads, tokens, width), or (batch, tokens, width) and told their heads."""
    for index, name in enumerate(("q_num_heads", "kv_num_heads", "kv_num_heads")):
        sizes, heads = read.sizes(index), read.integer(name, 0)
        if sizes is None:
            continue
        read.require_that(len(sizes) in (3, 4), f"attends to {as_text(sizes)}, where three or four axes make sense")
        if len(sizes) == 3:
            read.require_that(heads > 0, f"reads {as_text(sizes)} and does not say '{name}'")
            read.require_that((sizes[2] or 0) % heads == 0, f"splits {as_text(sizes)} into {heads} heads")


def _axes(read: Read) -> list[float] | None:
    """Return the axes that a node names, as an attribute or, in later opsets, as its second input."""
    told = read.integers("axes")
    return read.numbers(1) if told is None else [float(axis) for axis in told]


def _require_axes(read: Read, axes: Iterable[float] | None, sizes: Sizes | None) -> None:
    for axis in axes or ():
        inside = sizes is None or -len(sizes) <= axis < len(sizes)
        read.require_that(inside, f"works along axis {int(axis)} of {sizes and as_text(sizes)}")


def _size_along(read: Read, axis: int) -> int | None:
    sizes = read.sizes(0)
    return None if sizes is None else sizes[axis]


ARGUMENTS: dict[str, Callable[[Read], None]] = {
    **dict.fromkeys(("Flatten", "Softmax", "LogSoftmax", "ArgMax", "ArgMin"), _axis),
    **dict.fromkeys(("Gather", "GatherElements"), _picked),
    "Slice": _sliced,
    "Split": _split,
    "TopK": _largest_few,
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"), _reduced),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"), _reduced),
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "Range": _counted,
    "Attention": _attending,
    "Transpose": _permuted,
    "Reshape": _reshaped,
    **dict.fromkeys(("Expand", "Tile", "ConstantOfShape"), _grown),
    **dict.fromkeys(("Resize", "Upsample"), _scaled),
}
