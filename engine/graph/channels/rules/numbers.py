"""Operators that make numbers out of sizes, and tensors out of numbers: no channel passes, and none is cut unseen."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.channels.axes import Form, is_frozen
from engine.graph.channels.rules.layout import OVERRIDING
from engine.graph.channels.rules.pooling import is_kept
from engine.graph.channels.rules.site import Axes, Opaque, Site, in_range
from engine.graph.channels.rules.told import Source, elements, final_uses, reaches_output
from engine.graph.edits import kind


def made_of_numbers(site: Site) -> None:
    """Range, ConstantOfShape and the like: what they read are sizes, and what they make is as large as these say."""
    for index in range(len(site.node.inputs)):
        if site.has(index):
            for form in site.axes(index):
                site.fix(form)
    for index in range(len(site.node.outputs)):
        site.fix_output(index)


def shape(site: Site) -> None:
    """Shape tells the sizes of axes: those that somebody calculates with have to stay what they are."""
    read, value = site.value(0), site.node.outputs[0]
    axes = site.axes(0)
    for axis in range(len(axes)) if reaches_output(value) else _axes_counted_with(read, value, axes):
        if not is_frozen(axes[axis]):
            site.freeze(axes[axis], "its size is told by Shape")
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


def _axes_counted_with(read: ir.Value, told: ir.Value, axes: Axes) -> set[int]:
    """Return the axes of `read` whose told size is used by anything that would not notice the change by itself."""
    counted: set[int] = set()
    for node, index in final_uses(told):
        found = elements(node.inputs[index])
        if found is None:
            return set(range(len(axes)))
        for place, element in enumerate(found):
            if isinstance(element, tuple) and element[0] is read:
                axis = element[1]
                if not _is_noticed(node, index, place, element, axes[axis]):
                    counted.add(axis)
    return counted


def _is_noticed(node: ir.Node, index: int, place: int, element: Source, form: Form) -> bool:
    """Tell whether a node takes a told size for what it is: a target to be written over, or a size to be kept."""
    if node.graph is not element[0].graph:  # inside a body, where nothing is written over
        return False
    if kind(node) == "Resize" and index == 3:
        return is_kept(node, place, element)
    shape = node.outputs[0].shape
    if kind(node) not in OVERRIDING or index != 1 or shape is None:
        return False
    asked = elements(node.inputs[1]) or []
    return form.size is not None and isinstance(shape[len(shape) - len(asked) + place], int)
