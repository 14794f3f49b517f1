"""Convolutions, plain, grouped and depthwise, in any number of dimensions, and their transposes."""

from __future__ import annotations

from engine.graph.channels.axes import Atom, Form, multiply
from engine.graph.channels.rules.site import Axes, Edit, Opaque, Site


def conv(site: Site) -> None:
    """Weights are (outputs, inputs of a group, *kernel). Whole groups may go, and one place of each."""
    image, weight = site.axes(0), site.axes(1)
    groups, inside = _groups(site, image[1], weight[1])
    outside = _per_group(weight[0], groups)
    site.unify(image[1], multiply([groups, inside]))
    site.unify(weight[1], inside)
    site.unify(weight[0], multiply([groups, outside]))
    _add_bias(site, weight[0])
    site.sums_over(0, 1)
    _rewrite_group(site, groups)
    site.write([image[0], weight[0], *_pixels(site, image, weight)])


def conv_transpose(site: Site) -> None:
    """Weights are (inputs, outputs of a group, *kernel)."""
    image, weight = site.axes(0), site.axes(1)
    count = site.integer("group", 1)
    groups, inside = _groups(site, image[1], None)
    if weight[1].size is None:
        raise Opaque("the number of output channels is not known")
    site.unify(image[1], multiply([groups, inside]))
    site.unify(weight[0], multiply([groups, inside]))
    outputs = weight[1] if count == 1 else multiply([groups, weight[1]])
    _add_bias(site, outputs)
    site.sums_over(0, 1)
    _rewrite_group(site, groups)
    for form in (*image[2:], *weight[2:]):
        site.fix(form)
    pixels = site.output_axes(rank=len(image))[2:]
    for form in pixels:
        site.fix(form)
    site.write([image[0], outputs, *pixels])


def _groups(site: Site, channels: Form, inside: Form | None) -> tuple[Form, Form]:
    """Return the two digits of the input channels: the group, and the place inside it."""
    count = site.integer("group", 1)
    if channels.size is None or count < 1 or channels.size % count:
        raise Opaque(f"{channels.size} channels do not make {count} groups")
    if inside is not None and inside.size != channels.size // count:
        raise Opaque(f"its weights are not made for {channels.size} channels in {count} groups")
    return Atom(count), Atom(channels.size // count)


def _per_group(outputs: Form, groups: Form) -> Form:
    if outputs.size is None or groups.size is None or outputs.size % groups.size:
        raise Opaque(f"{outputs.size} outputs do not make {groups.size} groups")
    return Atom(outputs.size // groups.size)


def _add_bias(site: Site, outputs: Form) -> None:
    if site.has(2):
        site.unify(site.axes(2)[0], outputs)


def _rewrite_group(site: Site, groups: Form) -> None:
    def edit(edit: Edit) -> None:
        if edit.changes(groups):
            edit.set_integer("group", edit.count(groups))

    if groups.size != 1:
        site.on_cut(edit)


def _pixels(site: Site, image: Axes, weight: Axes) -> list[Form]:
    """Return the axes behind the channels: those of the image where every tap reads one pixel, else new ones."""
    strides, pads = site.integers("strides") or [1], site.integers("pads") or [0]
    one_to_one = all(form.size == 1 for form in weight[2:]) and set(strides) == {1} and set(pads) == {0}
    for form in weight[2:]:
        site.fix(form)
    if one_to_one and site.string("auto_pad", "NOTSET") in ("NOTSET", "VALID"):
        return list(image[2:])
    pixels = site.output_axes(rank=len(image))[2:]
    for form in (*image[2:], *pixels):
        site.fix(form)
    return list(pixels)
