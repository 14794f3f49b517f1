"""GroupNorm spelled out: channels of a group flattened, normed one by one as instances, and put back in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from engine.graph.idioms.reading import Match, is_closed, maker, numbers, only_reader, other, sizes

ANCHORS = ("InstanceNormalization",)


def match(node: ir.Node) -> Match | None:
    """Match at the instance norm between Reshapes, with Mul and Add behind. Wu and He, 2018. arXiv:1803.08494"""
    into, back = maker(node.inputs[0], "Reshape"), only_reader(node.outputs[0], "Reshape")
    if into is None or back is None or not _is_plain(node):
        return None
    x, groups = into.inputs[0], sizes(node.inputs[1])
    shape, grouped = sizes(x), numbers(into.inputs[1])
    if x is None or shape is None or groups is None or len(shape) < 3 or sizes(back.outputs[0]) != shape:
        return None
    if grouped is None or len(grouped) != 3 or grouped[1] != groups[0] or sizes(node.inputs[0]) is None:
        return None
    product, total = _affine(back, shape)
    if product is None or total is None or not _keeps_images_apart(node.inputs[0], shape):
        return None
    scale, bias = other(product, back.outputs[0]), other(total, product.outputs[0])
    nodes = (into, node, back, product, total)
    if not is_closed(nodes, total.outputs[0]):
        return None
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    return Match(nodes, (x, scale, bias), total.outputs[0], {"num_groups": grouped[1], "epsilon": epsilon})


def _is_plain(node: ir.Node) -> bool:
    """Say whether the instance norm itself scales by one and adds nothing."""
    scale, bias = (None if value is None else value.const_value for value in node.inputs[1:3])
    return scale is not None and bias is not None and bool(np.all(scale.numpy() == 1)) and not bias.numpy().any()


def _keeps_images_apart(grouped: ir.Value | None, shape: Sequence[int | str | None]) -> bool:
    after = sizes(grouped)
    return after is not None and shape[0] == after[0]


def _affine(back: ir.Node, shape: Sequence[int | str | None]) -> tuple[ir.Node | None, ir.Node | None]:
    product = only_reader(back.outputs[0], "Mul")
    total = None if product is None else only_reader(product.outputs[0], "Add")
    if product is None or total is None:
        return None, None
    wanted = [shape[1], *[1] * (len(shape) - 2)]
    for node, value in ((product, back.outputs[0]), (total, product.outputs[0])):
        found = sizes(other(node, value))
        if found is None or [*found][-len(wanted) :] != wanted or any(size != 1 for size in found[: -len(wanted)]):
            return None, None
    return product, total
