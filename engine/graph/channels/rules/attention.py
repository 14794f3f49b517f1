"""Attention as one operator, and rotary embedding: heads may go, and places inside a head where all heads lose them."""

from __future__ import annotations

import math

import onnx_ir as ir

from engine.graph.channels.axes import Atom, Form, multiply
from engine.graph.channels.rules.elementwise import broadcast
from engine.graph.channels.rules.site import Axes, Edit, Opaque, Site

_Q, _K, _V, _MASK = 0, 1, 2, 3


def attention(site: Site) -> None:
    """softmax(Q K' scale + mask) V.

    The scale stays what it was, 1 / sqrt of the old size of a head, also where it was not written down.
    """
    if any(site.has(index) for index in (4, 5)) or any(site.has_output(index) for index in (1, 2, 3)):
        raise Opaque("it keeps keys and values of earlier runs, or shows its scores")
    counts = {_Q: site.integer("q_num_heads", 0)}
    q, k, v = (_split_heads(site, index, counts.get(index, site.integer("kv_num_heads", 0))) for index in (_Q, _K, _V))
    _same_heads(site, q[1], k[1], v[1])
    site.unify(q[3], k[3])
    for a, b in ((q[0], k[0]), (k[0], v[0]), (k[2], v[2])):
        site.unify(a, b)
    site.freeze(k[2], "its positions share one")
    if site.integer("is_causal", 0):
        site.freeze(q[2], "what a position sees depends on its place")
    if site.has(_MASK):
        broadcast(site, [q[:3] + k[2:3], site.axes(_MASK)])
    in_four = len(site.axes(_Q)) == 4
    site.sums_over(_Q, 3 if in_four else 2)
    site.write([*q[:3], v[3]] if in_four else [q[0], q[2], multiply([q[1], v[3]])])
    _rewrite(site, q, k)


def rotary(site: Site) -> None:
    """Numbers of a head turn in pairs, so heads may go and nothing inside them."""
    axes = site.axes(0)
    batch, heads, places, inside = _split_heads(site, 0, site.integer("num_heads", 0))
    for form in (batch, places, inside):
        site.freeze(form, "its numbers turn in pairs, by an angle for each place")
    _rewrite_counts(site, {"num_heads": heads})
    site.write(axes)


def _split_heads(site: Site, index: int, count: int) -> Axes:
    """Return the axes of one input as (batch, heads, positions, places inside a head)."""
    axes = site.axes(index)
    if len(axes) == 4:
        return axes
    if len(axes) != 3 or axes[2].size is None or count < 1 or axes[2].size % count:
        raise Opaque("its heads cannot be told")
    heads, inside = Atom(count), Atom(axes[2].size // count)
    site.unify(axes[2], multiply([heads, inside]))
    return (axes[0], heads, axes[1], inside)


def _same_heads(site: Site, q: Form, k: Form, v: Form) -> None:
    """Make the heads of all three one; where several of Q share one of K, head h of Q reads h // count of K."""
    site.unify(k, v)
    if q.size is None or k.size is None or q.size % k.size:
        raise Opaque("its heads cannot be told")
    site.unify(q, multiply([k, Atom(q.size // k.size)]))


def _rewrite(site: Site, q: Axes, k: Axes) -> None:
    """Note that counts of heads are rewritten, and the scale written out before the size of a head changes."""
    old_size = q[3].size
    _rewrite_counts(site, {"q_num_heads": q[1], "kv_num_heads": k[1]})

    def edit(edit: Edit) -> None:
        if edit.changes(q[3]) and "scale" not in edit.node.attributes:
            assert old_size is not None
            edit.node.attributes["scale"] = ir.AttrFloat32("scale", 1 / math.sqrt(old_size))

    if old_size is None:
        raise Opaque("the size of its heads is not known")
    site.on_cut(edit)


def _rewrite_counts(site: Site, counts: dict[str, Form]) -> None:
    def edit(edit: Edit) -> None:
        for name, form in counts.items():
            if edit.changes(form) and name in edit.node.attributes:
                edit.set_integer(name, edit.count(form))

    site.on_cut(edit)
