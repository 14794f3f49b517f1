"""Reductions along axes, and operators that compare the positions of an axis with one another."""

from __future__ import annotations

from engine.graph.channels.axes import ONE
from engine.graph.channels.rules.site import Opaque, Site, in_range

_AXES_ARE_AN_INPUT_FROM = {"ReduceSum": 13}
"""The opset from which `axes` is an input; 18 for all others."""


def reduce_sum(site: Site) -> None:
    """Sums in which a zero counts for nothing: of numbers, of their sizes, of their squares."""
    axes = site.axes(0)
    for axis in _reduced(site, len(axes)):
        site.sums_over(0, axis)
    _write_rest(site)


def reduce_other(site: Site) -> None:
    """Means, extremes and products: each position counts, so that none may go."""
    axes = site.axes(0)
    for axis in _reduced(site, len(axes)):
        site.freeze(axes[axis], f"{site.node.op_type} runs along it")
    _write_rest(site)


def arg_extreme(site: Site) -> None:
    """ArgMax and ArgMin: the answer is a position."""
    axes = site.axes(0)
    axis = site.axis("axis", 0, len(axes))
    site.freeze(axes[axis], f"{site.node.op_type} runs along it")
    kept = [ONE] if site.integer("keepdims", 1) else []
    site.write([*axes[:axis], *kept, *axes[axis + 1 :]])


def top_k(site: Site) -> None:
    """The largest along an axis: which these are depends on all."""
    axes = site.axes(0)
    axis = site.axis("axis", -1, len(axes))
    site.freeze(axes[axis], "TopK runs along it")
    for index in range(len(site.node.outputs)):
        found = list(axes)
        found[axis] = site.output_axes(index)[axis]
        site.fix(found[axis])
        site.write(found, index)


def cumulative(site: Site) -> None:
    """CumSum: each position holds the sum of those before it."""
    axes = site.axes(0)
    numbers = site.numbers(1)
    if numbers is None:
        raise Opaque("its axis is worked out when the network runs")
    site.freeze(axes[in_range(numbers[0], len(axes))], "CumSum runs along it")
    site.write(axes)


def _reduced(site: Site, rank: int) -> list[int]:
    if site.opset >= _AXES_ARE_AN_INPUT_FROM.get(site.node.op_type, 18):
        axes = site.numbers(1) if site.has(1) else []
        if axes is None:
            raise Opaque("its axes are worked out when the network runs")
    else:
        axes = site.integers("axes") or []
    if not axes:
        return [] if site.integer("noop_with_empty_axes", 0) else list(range(rank))
    return [in_range(axis, rank) for axis in axes]


def _write_rest(site: Site) -> None:
    axes = site.axes(0)
    reduced, keep = set(_reduced(site, len(axes))), site.integer("keepdims", 1)
    site.write([ONE if axis in reduced else form for axis, form in enumerate(axes) if keep or axis not in reduced])
