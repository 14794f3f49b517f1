"""Convolution as algebra: a weight that slides over zero borders, and a constant. Knows no graph.

Composing and adding are exact or refused; the conditions at the border are those of `compose`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.floating[Any]]
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Stencil:
    """out[o, y] = constant[o, y] + sum of weight[o, i, t] * in[i, y * stride + t * dilation - before], zero outside.

    `weight` is (out, in / group, *kernel), `constant` (out, 1, ...) or, where it differs along the border,
    (out, *sizes of out). `before` and `after` count the zeros put around the input. All tuples hold a number an axis.
    """

    weight: Weights
    constant: Weights
    strides: Sizes
    dilations: Sizes
    before: Sizes
    after: Sizes
    group: int = 1

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[0])

    @property
    def inputs(self) -> int:
        return int(self.weight.shape[1]) * self.group

    @property
    def kernel(self) -> Sizes:
        return self.weight.shape[2:]

    @property
    def extent(self) -> Sizes:
        """How far the kernel reaches along each axis, with what dilation leaves out."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def has_uniform_constant(self) -> bool:
        return self.constant.size == self.outputs

    def sizes_after(self, sizes: Sizes) -> Sizes:
        """Return the sizes of what comes out for an input of these sizes."""
        axes = zip(sizes, self.before, self.after, self.extent, self.strides, strict=True)
        return tuple((size + b + a - reach) // step + 1 for size, b, a, reach, step in axes)


def diagonal(scale: Weights, shift: Weights, rank: int) -> Stencil:
    """Return what multiplies each channel by a number and adds another; with 1 and 0 it is the identity, a dirac."""
    ones, zeros, shape = (1,) * rank, (0,) * rank, (-1, *(1,) * rank)
    return Stencil(scale.reshape(-1, 1, *ones), shift.reshape(shape), ones, ones, zeros, zeros, group=scale.size)


def identity(channels: int, rank: int) -> Stencil:
    """Return the stencil of a skip: a one at the kernel's centre for each channel."""
    return diagonal(np.ones(channels), np.zeros(channels), rank)


def can_compose(first: Stencil, second: Stencil, sizes: Sequence[int | None]) -> bool:
    """Say whether `first` and then `second` are one stencil, for an input of these sizes (None where open).

    The second one's border is zero, whatever the first would have computed there. That is the same where (1) the second
    has no border, or (2) the first, put there, would see nothing of the input; and what the first adds everywhere
    must then be (3) nothing, or (4) made a constant that differs along the border, for which sizes must be known.
    """
    if first.outputs != second.inputs or len(first.kernel) != len(second.kernel):
        return False
    if not all(_sees_nothing(first, second, axis, size) for axis, size in enumerate(sizes)):
        return False
    return None not in sizes or not adds_along_border(first, second)


def adds_along_border(first: Stencil, second: Stencil) -> bool:
    """Say whether what two in one add differs along the border, case (4)."""
    bordered = any(second.before) or any(second.after)
    return not first.has_uniform_constant or (bordered and bool(first.constant.any()))


def _sees_nothing(first: Stencil, second: Stencil, axis: int, size: int | None) -> bool:
    """Cases (1) and (2) along one axis."""
    reach, step, before = first.extent[axis], first.strides[axis], first.before[axis]
    if second.before[axis] and reach > before + step:
        return False
    if not second.after[axis] or reach <= first.after[axis] + 1:
        return True
    if size is None:
        return False
    places = (size + before + first.after[axis] - reach) // step + 1
    return places * step - before >= size


def composed_macs(first: Stencil, second: Stencil, places: int) -> int:
    """Return the multiply-accumulates of the one stencil that makes `places` outputs a channel."""
    group, reach, _ = _merged_form(first, second)
    return second.outputs * (first.inputs // group) * math.prod(reach) * places


def compose(first: Stencil, second: Stencil, sizes: Sequence[int | None]) -> Stencil:
    """Return the stencil that does what `first` and then `second` do; ask `can_compose` before.

    The kernel is k1 + (k2 - 1) * s1 long, the stride s1 * s2, the border p1 + s1 * p2.
    """
    group, kernel, dilations = _merged_form(first, second)
    one, two = _dense(first, group), _dense(second, group)
    weight = np.zeros((*two.shape[:2], one.shape[2], *kernel))
    for far in np.ndindex(second.kernel):
        for near in np.ndindex(first.kernel):
            at = tuple(
                (t2 * d2 * s1 + t1 * d1) // d
                for t2, d2, s1, t1, d1, d in zip(
                    far, second.dilations, first.strides, near, first.dilations, dilations, strict=True
                )
            )
            weight[(..., *at)] += two[(..., *far)] @ one[(..., *near)]
    return Stencil(
        weight=weight.reshape(second.outputs, -1, *kernel),
        constant=second.constant + _carried(first, second, sizes),
        strides=tuple(a * b for a, b in zip(first.strides, second.strides, strict=True)),
        dilations=dilations,
        before=_border(first.before, first.strides, second.before),
        after=_border(first.after, first.strides, second.after),
        group=group,
    )


def _border(first: Sizes, strides: Sizes, second: Sizes) -> Sizes:
    return tuple(p1 + s1 * p2 for p1, s1, p2 in zip(first, strides, second, strict=True))


def _merged_form(first: Stencil, second: Stencil) -> tuple[int, Sizes, Sizes]:
    """Return groups, kernel and dilations of two in one; groups that do not nest become common larger ones."""
    kernel, dilations = [], []
    for k1, d1, s1, k2, d2 in zip(
        first.kernel, first.dilations, first.strides, second.kernel, second.dilations, strict=True
    ):
        step = math.gcd(d1 if k1 > 1 else 0, d2 * s1 if k2 > 1 else 0) or 1
        dilations.append(step)
        kernel.append(((k1 - 1) * d1 + (k2 - 1) * d2 * s1) // step + 1)
    return math.gcd(first.group, second.group), tuple(kernel), tuple(dilations)


def _dense(stencil: Stencil, group: int) -> Weights:
    """Return (group, out / group, in / group, *kernel): fewer groups, with zeros where channels did not meet."""
    outputs, inputs = stencil.outputs, stencil.inputs // group
    wide = np.zeros((outputs, inputs, *stencil.kernel))
    channel = np.arange(outputs)
    own = stencil.weight.shape[1]
    start = channel // (outputs // stencil.group) * own - channel // (outputs // group) * inputs
    wide[channel[:, None], start[:, None] + np.arange(own)] = stencil.weight
    return wide.reshape(group, outputs // group, inputs, *stencil.kernel)


def _carried(first: Stencil, second: Stencil, sizes: Sequence[int | None]) -> Weights:
    """Return what the first one's constant becomes behind the second one's weight."""
    flat = (-1, *(1,) * len(second.kernel))
    if not first.constant.any():
        return np.zeros(second.outputs).reshape(flat)
    if first.has_uniform_constant and not any(second.before) and not any(second.after):
        summed = _dense(second, 1)[0].sum(axis=tuple(range(2, 2 + len(second.kernel))))
        return np.asarray(summed @ first.constant.reshape(-1)).reshape(flat)
    between = first.sizes_after(tuple(size for size in sizes if size is not None))
    return slide(second, np.broadcast_to(first.constant, (first.outputs, *between)))


def slide(stencil: Stencil, image: Weights) -> Weights:
    """Return what the weight alone makes of an image (in, *sizes), in double precision."""
    padded = np.pad(image.astype(np.float64), [(0, 0), *zip(stencil.before, stencil.after, strict=True)])
    sizes = stencil.sizes_after(image.shape[1:])
    weight = stencil.weight.astype(np.float64).reshape(stencil.group, -1, *stencil.weight.shape[1:])
    total = np.zeros((stencil.group, weight.shape[1], math.prod(sizes)))
    for tap in np.ndindex(stencil.kernel):
        seen = padded[(slice(None), *taps_at(stencil, tap, sizes))]
        total += weight[(..., *tap)] @ seen.reshape(stencil.group, -1, math.prod(sizes))
    return total.reshape(stencil.outputs, *sizes)


def taps_at(stencil: Stencil, tap: Sizes, sizes: Sizes) -> tuple[slice, ...]:
    """Return where one tap reads the padded input, for an output of these sizes."""
    starts = [t * d for t, d in zip(tap, stencil.dilations, strict=True)]
    return tuple(
        slice(start, start + (size - 1) * step + 1, step)
        for start, size, step in zip(starts, sizes, stencil.strides, strict=True)
    )


def can_add(stencils: Sequence[Stencil]) -> bool:
    """Say whether stencils that read one value and whose results are added are one stencil."""
    first = stencils[0]
    return all(
        other.strides == first.strides
        and (other.inputs, other.outputs) == (first.inputs, first.outputs)
        and _slack(other) == _slack(first)
        for other in stencils
    )


def _slack(stencil: Stencil) -> Sizes:
    """Return what decides, beside the stride, how many places a stencil has for an input of any size."""
    return tuple(b + a - reach for b, a, reach in zip(stencil.before, stencil.after, stencil.extent, strict=True))


def added_macs(stencils: Sequence[Stencil], places: int) -> int:
    """Return the multiply-accumulates of the sum as one stencil that makes `places` outputs a channel."""
    group, _, _, kernel = _common_form(stencils)
    return stencils[0].outputs * (stencils[0].inputs // group) * math.prod(kernel) * places


def add(stencils: Sequence[Stencil]) -> Stencil:
    """Return the sum of stencils as one; ask `can_add` before. A 1x1 lies in the centre of a 3x3."""
    group, before, dilations, kernel = _common_form(stencils)
    weight = np.zeros((group, stencils[0].outputs // group, stencils[0].inputs // group, *kernel))
    for stencil in stencils:
        places = [
            (widest - own + np.arange(k) * d) // step
            for widest, own, k, d, step in zip(
                before, stencil.before, stencil.kernel, stencil.dilations, dilations, strict=True
            )
        ]
        whole = [np.arange(size) for size in weight.shape[:3]]
        weight[np.ix_(*whole, *places)] += _dense(stencil, group)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    slack = _slack(stencils[0])
    constant = sum((stencil.constant for stencil in stencils), np.zeros(()))
    return replace(
        stencils[0],
        weight=weight.reshape(stencils[0].outputs, -1, *kernel),
        constant=np.asarray(constant),
        dilations=dilations,
        before=before,
        after=tuple(s + r - b for s, r, b in zip(slack, reach, before, strict=True)),
        group=group,
    )


def _common_form(stencils: Sequence[Stencil]) -> tuple[int, Sizes, Sizes, Sizes]:
    """Return groups, border before, dilations and kernel that hold every tap of all stencils."""
    before, dilations, kernel = [], [], []
    for axis in range(len(stencils[0].kernel)):
        taps = {
            tap * stencil.dilations[axis] - stencil.before[axis]
            for stencil in stencils
            for tap in range(stencil.kernel[axis])
        }
        start = min(taps)
        step = math.gcd(*(tap - start for tap in taps)) or 1
        before.append(-start)
        dilations.append(step)
        kernel.append((max(taps) - start) // step + 1)
    return math.gcd(*(stencil.group for stencil in stencils)), tuple(before), tuple(dilations), tuple(kernel)
