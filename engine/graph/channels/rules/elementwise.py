"""Operators that treat every element alike: axes meet by broadcasting, and channels pass straight through."""

from __future__ import annotations

from collections.abc import Sequence

from engine.graph.channels.axes import ONE, Form
from engine.graph.channels.rules.site import Axes, Site


def elementwise(site: Site) -> None:
    """Broadcast all inputs against one another."""
    site.write(broadcast(site, [site.axes(index) for index in range(len(site.node.inputs)) if site.has(index)]))


def first_only(site: Site) -> None:
    """Pass the first input on; of the others a bound is one number, and an example of a type may have any shape."""
    for index in range(1, len(site.node.inputs)):
        if site.has(index):
            site.axes(index)
    for index in range(len(site.node.outputs)):
        site.write(site.axes(0), index)


def broadcast(site: Site, inputs: Sequence[Axes]) -> list[Form]:
    """Return the axes of what comes of broadcasting, having made one what meets."""
    rank = max(len(axes) for axes in inputs)
    padded = [(ONE,) * (rank - len(axes)) + tuple(axes) for axes in inputs]
    return [_meet(site, [axes[axis] for axes in padded]) for axis in range(rank)]


def _meet(site: Site, forms: Sequence[Form]) -> Form:
    long = [form for form in forms if form.size != 1]
    if not long:
        return ONE
    known = [form for form in long if form.size is not None]
    if known and len(known) < len(long):
        for form in long:  # an open size may turn out to be 1
            site.freeze(form, "it meets an axis of open size")
        return known[0]
    for form in long[1:]:
        site.unify(long[0], form)
    return long[0]
