"""Operators that make numbers out of sizes, and tensors out of numbers: no channel passes, and none is cut unseen."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from engine.graph.axes import Form, is_frozen
from engine.graph.rules.layout import OVERRIDING
from engine.graph.rules.site import Opaque, Site, in_range, is_constant


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
    told = list(axes)[site.integer("start", 0) : site.integer("end", len(axes))]
    for place in _places_used(site.node.outputs[0], told):
        if not is_frozen(told[place]):
            site.freeze(told[place], "its size is told by Shape")
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


def _places_used(value: ir.Value, told: Sequence[Form]) -> set[int]:
    """Return the places of a vector of sizes that are read: all of them where a reader does not say which."""
    places = range(len(told))
    used: set[int] = set(places) if value.is_graph_output() else set()
    for use in value.uses():
        if use.node.op_type in OVERRIDING and use.idx == 1:
            used |= {place for place in places if told[place].size is None}
        else:
            picked = _constant(use.node.inputs[1]) if use.node.op_type == "Gather" and use.idx == 0 else None
            used |= set(places) if picked is None else {places[number] for number in picked}
    return used


def _constant(value: ir.Value | None) -> list[int] | None:
    if value is None or not is_constant(value) or value.const_value is None:
        return None
    return [int(number) for number in value.const_value.numpy().reshape(-1)]
