"""Operators that make numbers out of sizes, and tensors out of numbers: no channel passes, and none is cut unseen."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.axes import is_frozen
from engine.graph.rules.site import Opaque, Site, in_range


def made_of_numbers(site: Site) -> None:
    """Range, ConstantOfShape and the like: what they read are sizes, and what they make is as large as these say."""
    for index in range(len(site.node.inputs)):
        if site.has(index):
            for form in site.axes(index):
                site.fix(form)
    for index in range(len(site.node.outputs)):
        site.fix_output(index)


def shape(site: Site) -> None:
    """Shape tells the sizes of axes: those that somebody uses have to stay what they are."""
    axes = site.axes(0)
    start, end = site.integer("start", 0), site.integer("end", len(axes))
    told = list(range(len(axes)))[start:end]
    for place in _places_used(site.node.outputs[0], len(told)):
        if not is_frozen(axes[told[place]]):
            site.freeze(axes[told[place]], "its size is told by Shape")
    site.fix_output()


def size(site: Site) -> None:
    for form in site.axes(0):
        site.freeze(form, "its size is told by Size")
    site.fix_output()


def one_hot(site: Site) -> None:
    """OneHot: a new axis as long as a number says."""
    axes = site.axes(0)
    axis = site.integer("axis", -1)
    axis = in_range(axis, len(axes) + 1)
    fresh = site.output_axes()[axis]
    site.fix(fresh)
    site.write([*axes[:axis], fresh, *axes[axis:]])


def triangle(site: Site) -> None:
    """Trilu: what is zero depends on the places along the last two axes."""
    axes = site.axes(0)
    if len(axes) < 2:
        raise Opaque("its input is not a matrix")
    for form in axes[-2:]:
        site.freeze(form, "Trilu looks at places along it")
    site.write(axes)


def _places_used(told: ir.Value, count: int) -> set[int]:
    """Return the places of a vector of sizes that are read, all where a reader does not say."""
    used: set[int] = set()
    for use in told.uses():
        picked = use.node.inputs[1] if use.node.op_type == "Gather" and use.idx == 0 else None
        if picked is None or not picked.is_initializer() or picked.const_value is None or picked.is_graph_input():
            return set(range(count))
        used |= {int(number) % count for number in picked.const_value.numpy().reshape(-1)}
    return set(range(count)) if told.is_graph_output() else used
