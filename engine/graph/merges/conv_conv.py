"""Convolution and then convolution: one with the longer kernel. Average pooling is a convolution too."""

from __future__ import annotations

import onnx_ir as ir

from engine.graph.edits import Array, array_of, kind, only_reader
from engine.graph.merges.convolution import WIDE_BYTES, fits, is_kept, read_stencil, write_stencil
from engine.graph.merges.offer import Offer, known, places_of, spatial_sizes
from engine.graph.merges.stencil import Stencil, adds_along_border, can_compose, compose, composed_macs
from engine.graph.model import Model

_SLIDES = {"Conv", "AveragePool"}


def conv_conv(model: Model, node: ir.Node) -> Offer | None:
    """Offer to merge a convolution into the one that it alone reads; what is exact says `can_compose`.

    3x3 and then 1x1 is 3x3; 1x1 and then 3x3 is 3x3, with a constant along the border where the 1x1 has a bias;
    3x3 and then 3x3 without a border is 5x5.
    """
    before = _convolution_before(node)
    first, second = (None, None) if before is None else (read_stencil(before), read_stencil(node))
    if before is None or first is None or second is None:
        return None
    reads, made = before.inputs[0], node.outputs[0]
    sizes = spatial_sizes(reads)
    if reads is None or sizes is None or not can_compose(first, second, sizes):
        return None
    has_map = adds_along_border(first, second)
    if has_map and not fits(second.outputs, second.sizes_after(first.sizes_after(known(sizes) or ()))):
        return None
    like = weight_of(before, node)
    if like.dtype.itemsize < WIDE_BYTES and not is_kept(compose(first, second, sizes), like):
        return None
    middle, last = places_of(before.outputs[0], made, second.strides)

    def apply() -> None:
        whole = compose(first, second, sizes)
        write_stencil(model, whole, reads, made, like, str(node.name))

    return Offer(
        nodes=(str(before.name), str(node.name)),
        macs_before=macs_of(before, first, middle) + macs_of(node, second, last),
        macs_after=composed_macs(first, second, last) + (second.outputs * last if has_map else 0),
        apply=apply,
    )


def _convolution_before(node: ir.Node) -> ir.Node | None:
    """Return the convolution that makes what this one reads, if nobody else reads that."""
    if kind(node) not in _SLIDES or node.inputs[0] is None:
        return None
    before = node.inputs[0].producer()
    if before is None or kind(before) not in _SLIDES or only_reader(node.inputs[0]) is not node:
        return None
    return before if "Conv" in (kind(before), kind(node)) else None


def macs_of(node: ir.Node, stencil: Stencil, places: int) -> int:
    """Return a convolution's multiply-accumulates; pooling and norms only add."""
    return stencil.weight.size * places if kind(node) == "Conv" else 0


def weight_of(*nodes: ir.Node) -> Array:
    """Return the last convolution's weight, whose element type the merged one keeps."""
    return array_of([node for node in nodes if kind(node) == "Conv"][-1].inputs[1])
