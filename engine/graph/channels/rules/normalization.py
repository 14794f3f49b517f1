"""Norms: a channel may go where it is normalised by itself, and stays where others are normalised with it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.graph.channels.axes import Atom, Form, multiply
from engine.graph.channels.rules.elementwise import broadcast
from engine.graph.channels.rules.site import Edit, Opaque, Site, in_range

_TOGETHER = "its channels are normalised together"


def batch_norm(site: Site) -> None:
    """One scale, shift, mean and variance for each channel."""
    if site.integer("training_mode", 0):
        raise Opaque("it learns")
    axes = site.axes(0)
    for index in range(1, 5):
        site.unify(site.axes(index)[0], _channels(axes))
    site.write(axes)


def instance_norm(site: Site) -> None:
    """Each channel of each image by itself, over its pixels."""
    axes = site.axes(0)
    for index in (1, 2):
        site.unify(site.axes(index)[0], _channels(axes))
    for form in axes[2:]:
        site.freeze(form, _TOGETHER)
    site.write(axes)


def group_norm(site: Site) -> None:
    """Channels in groups that are normalised together: a whole group may go. Scales are for groups before opset 21."""
    axes = site.axes(0)
    count = site.integer("num_groups", 0)
    channels = _channels(axes)
    if channels.size is None or count < 1 or channels.size % count:
        raise Opaque(f"{channels.size} channels do not make {count} groups")
    groups, inside = Atom(count), Atom(channels.size // count)
    site.freeze(inside, _TOGETHER)
    site.unify(channels, multiply([groups, inside]))
    for index in (1, 2):
        (scale,) = site.axes(index)
        site.unify(scale, channels if scale.size == channels.size else groups)
    for form in axes[2:]:
        site.freeze(form, _TOGETHER)

    def edit(edit: Edit) -> None:
        if edit.changes(groups):
            edit.set_integer("num_groups", edit.count(groups))

    site.on_cut(edit)
    site.write(axes)


def layer_norm(site: Site) -> None:
    """LayerNormalization and RMSNormalization: all axes from `axis` on are normalised together."""
    axes = site.axes(0)
    first = site.axis("axis", -1, len(axes))
    _freeze(site, axes[first:])
    for index in (1, 2):
        if site.has(index):
            broadcast(site, [axes, site.axes(index)])
    site.write(axes)
    for index in (1, 2):
        if site.has_output(index):
            site.fix_output(index)
        elif index < len(site.node.outputs) and site.node.outputs[index].name:
            site.write(site.output_axes(index), index)


def mean_variance_norm(site: Site) -> None:
    axes = site.axes(0)
    _freeze(site, [axes[in_range(axis, len(axes))] for axis in site.integers("axes") or [0, 2, 3]])
    site.write(axes)


def local_response_norm(site: Site) -> None:
    """Each channel is divided by what its neighbours say."""
    axes = site.axes(0)
    _freeze(site, [_channels(axes)])
    site.write(axes)


def lp_norm(site: Site) -> None:
    """Divide by the length along an axis: what is zero there counts for nothing."""
    axes = site.axes(0)
    site.sums_over(0, site.axis("axis", -1, len(axes)))
    site.write(axes)


def softmax(site: Site) -> None:
    """Positions along the axis share one; before opset 13 those of all axes behind it do, too."""
    axes = site.axes(0)
    axis = site.axis("axis", -1 if site.opset >= 13 else 1, len(axes))
    for form in axes[axis : axis + 1 if site.opset >= 13 else None]:
        site.freeze(form, "its positions share one")
    site.write(axes)


def p_relu(site: Site) -> None:
    site.write(broadcast(site, [site.axes(0), site.axes(1)]))


def quantize(site: Site) -> None:
    """QuantizeLinear and DequantizeLinear: one scale for all, or one for each channel along `axis`."""
    axes = site.axes(0)
    if site.integer("block_size", 0):
        raise Opaque("it is quantised in blocks")
    for index in (1, 2):
        scales = site.axes(index) if site.has(index) else ()
        if len(scales) == 1 and scales[0].size != 1:
            site.unify(scales[0], axes[site.axis("axis", 1, len(axes))])
        elif len(scales) > 1:
            raise Opaque("it is quantised in blocks")
    site.write(axes)


def _channels(axes: Sequence[Form]) -> Form:
    if len(axes) < 2:
        raise Opaque("its input has no axis of channels")
    return axes[1]


def _freeze(site: Site, axes: Sequence[Form]) -> None:
    for form in axes:
        site.freeze(form, _TOGETHER)
