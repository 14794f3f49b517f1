"""LayerNorm spelled out over the last axes: what is left of the mean, over the root of its mean square."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from engine.graph.idioms.reading import Match, is_closed, maker, number, numbers, only_reader, other, sizes

ANCHORS = ("Sqrt", "Pow")


def match(node: ir.Node) -> Match | None:
    """Match at the square root, or the power of -1/2, of the variance. Ba et al., 2016. arXiv:1607.06450"""
    if node.op_type == "Pow" and number(node.inputs[1]) != -0.5:
        return None
    variance = _variance(node.inputs[0])
    if variance is None:
        return None
    x, epsilon, axes, inside = variance
    normed = _normed(node, x, axes)
    if normed is None:
        return None
    output, outside = normed
    scale, bias, output, affine = _affine(output, x, len(axes))
    nodes = tuple(dict.fromkeys((*inside, node, *outside, *affine)))
    if not is_closed(nodes, output) or sizes(output) != sizes(x):
        return None
    return Match(nodes, (x, scale, bias), output, {"axis": -len(axes), "epsilon": epsilon})


def _variance(value: ir.Value | None) -> tuple[ir.Value, float, list[int], list[ir.Node]] | None:
    """Read mean((x - mean(x))²) + epsilon: x, epsilon, the axes, the nodes."""
    add = maker(value, "Add")
    if add is None:
        return None
    for mean_square, constant in (add.inputs, reversed(add.inputs)):
        epsilon, mean = number(constant), maker(mean_square, "ReduceMean")
        square = None if mean is None else maker(mean.inputs[0], "Mul", "Pow")
        if epsilon is None or mean is None or square is None:
            continue
        is_square = square.inputs[0] is square.inputs[1] if square.op_type == "Mul" else number(square.inputs[1]) == 2
        centred = _centred(square.inputs[0]) if is_square else None
        if centred is not None and _last_axes(mean) == centred[1]:
            return centred[0], epsilon, centred[1], [*centred[2], square, mean, add]
    return None


def _centred(value: ir.Value | None) -> tuple[ir.Value, list[int], list[ir.Node]] | None:
    """Read x - mean(x) over the last axes."""
    difference = maker(value, "Sub")
    mean = None if difference is None else maker(difference.inputs[1], "ReduceMean")
    if difference is None or mean is None or mean.inputs[0] is not difference.inputs[0] or mean.inputs[0] is None:
        return None
    axes = _last_axes(mean)
    return None if axes is None else (mean.inputs[0], axes, [mean, difference])


def _last_axes(mean: ir.Node) -> list[int] | None:
    """Return the axes of a mean, counted from the back, where they are the last ones and stay."""
    shape = sizes(mean.inputs[0])
    stated = mean.attributes.get_ints("axes", None) or (numbers(mean.inputs[1]) if len(mean.inputs) > 1 else None)
    if shape is None or not stated or mean.attributes.get_int("keepdims", 1) == 0:
        return None
    axes = sorted(axis - len(shape) if axis >= 0 else axis for axis in stated)
    is_known = all(isinstance(size, int) for size in shape[axes[0] :])
    return axes if is_known and axes == list(range(-len(axes), 0)) else None


def _normed(root: ir.Node, x: ir.Value, axes: list[int]) -> tuple[ir.Value, list[ir.Node]] | None:
    """Read (x - mean(x)) over the root: by division, by the reciprocal, or times the root's power of -1/2."""
    nodes, value = list[ir.Node](), root.outputs[0]
    division = "Div" if root.op_type == "Sqrt" else "Mul"
    reciprocal = only_reader(value, "Reciprocal") if root.op_type == "Sqrt" else None
    if reciprocal is not None:
        nodes, value, division = [reciprocal], reciprocal.outputs[0], "Mul"
    quotient = only_reader(value, division)
    if quotient is None or (division == "Div" and quotient.inputs[1] is not value):
        return None
    centred = _centred(other(quotient, value))
    if centred is None or centred[0] is not x or centred[1] != axes:
        return None
    return quotient.outputs[0], [*nodes, *centred[2], quotient]


def _affine(
    value: ir.Value, x: ir.Value, rank: int
) -> tuple[ir.Value | None, ir.Value | None, ir.Value, list[ir.Node]]:
    """Read a scale and a bias of the normalised axes behind the quotient, where there are any."""
    shape = sizes(x)
    assert shape is not None
    product = only_reader(value, "Mul")
    scale = None if product is None else _parameter(other(product, value), shape[-rank:])
    if product is None or scale is None:
        return None, None, value, []
    total = only_reader(product.outputs[0], "Add")
    bias = None if total is None else _parameter(other(total, product.outputs[0]), shape[-rank:])
    if total is None or bias is None:
        return scale, None, product.outputs[0], [product]
    return scale, bias, total.outputs[0], [product, total]


def _parameter(value: ir.Value | None, shape: Sequence[int | str | None]) -> ir.Value | None:
    return value if value is not None and value.const_value is not None and sizes(value) == shape else None
