"""Operators that rename, reorder, join and divide axes, and move no element past another that stays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import onnx_ir as ir

from engine.graph.channels.axes import ONE, Form, multiply
from engine.graph.channels.rules.site import Edit, Opaque, Site, in_range
from engine.graph.channels.rules.told import elements

OVERRIDING = {"Reshape", "Expand"}
"""Operators that write known sizes over those that their second input asks for, wherever the two may differ."""


def transpose(site: Site) -> None:
    axes = site.axes(0)
    order = site.integers("perm") or list(reversed(range(len(axes))))
    site.write([axes[axis] for axis in order])


def reshape(site: Site) -> None:
    """Both sides are one long axis, outer to inner, so that their digits line up; the target is rewritten."""
    axes, fresh = site.axes(0), site.output_axes()
    if any(form.size == 0 for form in (*axes, *fresh)):
        raise Opaque("it has no elements")
    site.unify(multiply(axes), multiply(fresh))
    _rewrite_sizes(site, 1, fresh)
    site.write(fresh)


def flatten(site: Site) -> None:
    """Two axes come of it: all before `axis`, and all from there on."""
    axes = site.axes(0)
    axis = site.integer("axis", 1)
    axis += len(axes) if axis < 0 else 0
    site.write([multiply(axes[:axis]), multiply(axes[axis:])])


def squeeze(site: Site) -> None:
    """Drop axes of size 1, and from now on name them, as another one may shrink to 1."""
    axes = site.axes(0)
    named = _axes_given(site, len(axes))
    if named is None and any(form.size is None for form in axes):
        raise Opaque("it drops every axis of size 1 and does not say which")
    dropped = {axis for axis, form in enumerate(axes) if form.size == 1} if named is None else set(named)

    def edit(edit: Edit) -> None:
        if named is None and edit.changes(*axes):
            _set_axes(site, edit, sorted(dropped))

    site.on_cut(edit)
    site.write([form for axis, form in enumerate(axes) if axis not in dropped])


def unsqueeze(site: Site) -> None:
    axes = site.axes(0)
    given = _axes_given(site, None)
    if given is None:
        raise Opaque("its axes are worked out when the network runs")
    rank = len(axes) + len(given)
    added, left = {in_range(axis, rank) for axis in given}, iter(axes)
    site.write([ONE if axis in added else next(left) for axis in range(rank)])


def expand(site: Site) -> None:
    """Axes of size 1 are repeated; channels that come of it may go, as the numbers asked for are rewritten."""
    axes, fresh = site.axes(0), list(site.output_axes())
    if len(axes) > len(fresh):
        raise Opaque("it has fewer axes than what it reads")
    start = len(fresh) - len(axes)
    for axis, form in enumerate(axes):
        if form.size != 1:
            fresh[start + axis] = form
    if site.numbers(1) is None and len(elements(site.value(1)) or ()) != len(fresh):
        raise Opaque("how many sizes it asks for is not known")
    _rewrite_sizes(site, 1, fresh, ones=True)
    site.write(fresh)


def _rewrite_sizes(site: Site, index: int, forms: Sequence[Form], *, ones: bool = False) -> None:
    """Note that an input asks for these sizes; `ones` says that a 1 there asks for nothing."""
    numbers, source = site.numbers(index), site.axes(0)
    if numbers is None and (ones or sum(form.size is None for form in forms) > 1):
        for form in forms:
            if form.size is None:
                site.freeze(form, "its size is worked out when the network runs")
    told = _told(site, index)

    def edit(edit: Edit) -> None:
        if not edit.changes(*forms, *told):
            return
        if numbers is None:
            _override(edit, index, forms, may_infer=not ones)
            return
        asked, first = list(numbers), len(forms) - len(numbers)
        for axis, number in enumerate(numbers):
            form = forms[first + axis]
            copied = not ones and number == 0 and axis < len(source) and not edit.changes(form, source[axis])
            if form.size is not None and number not in ((1,) if ones else (-1,)) and not copied:
                asked[axis] = edit.count(form)
        if asked != list(numbers):
            edit.set_numbers(index, asked)

    site.on_cut(edit)


def _told(site: Site, index: int) -> list[Form]:
    """Return the axes whose sizes Shape tells to an input."""
    sources = [element for element in elements(site.value(index)) or () if isinstance(element, tuple)]
    return [(site.flow.axes[value] or ())[axis] for value, axis in sources if site.flow.axes.get(value)]


def _override(edit: Edit, index: int, forms: Sequence[Form], *, may_infer: bool) -> None:
    """Put known sizes over those that are worked out when the network runs; a single open one may be inferred."""
    sizes = [-1 if form.size is None else edit.count(form) for form in forms]
    if may_infer and sizes.count(-1) <= 1:
        edit.set_input(index, edit.add_constant(np.array(sizes, np.int64)))
        return
    asked = edit.node.inputs[index]
    assert asked is not None
    pieces = []
    for is_open, axes in groupby(range(len(forms)), lambda axis: forms[axis].size is None):
        places = list(axes)
        numbers = edit.add_constant(np.array(places if is_open else [sizes[axis] for axis in places], np.int64))
        pieces.append(edit.add_node("Gather", [asked, numbers], ir.Shape([len(places)])) if is_open else numbers)
    joined = edit.add_node("Concat", pieces, ir.Shape([len(forms)]), axis=0)
    edit.set_input(index, joined)


def _axes_given(site: Site, rank: int | None) -> list[int] | None:
    """Return the axes, an input since opset 13; None where there are none."""
    if site.opset < 13:
        axes = site.integers("axes")
    elif site.has(1):
        axes = site.numbers(1)
        if axes is None:
            raise Opaque("its axes are worked out when the network runs")
    else:
        axes = None
    return axes if axes is None or rank is None else [in_range(axis, rank) for axis in axes]


def _set_axes(site: Site, edit: Edit, axes: Sequence[int]) -> None:
    if site.opset < 13:
        edit.set_integers("axes", axes)
    else:
        edit.set_numbers(1, axes)
