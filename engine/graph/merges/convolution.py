"""From nodes to stencils and back: the operators that slide a weight over an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, add_initialiser, array_of, is_constant, keeps, kind, make_instead
from engine.graph.folds.affine import read_affine
from engine.graph.merges.offer import spatial_sizes
from engine.graph.merges.stencil import Stencil, diagonal
from engine.graph.model import Model

WIDE_BYTES = 4
"""An element type of this size holds the numbers of any network; of narrower ones it is asked."""
MAP_ELEMENTS_MAX = 1 << 20
"""Numbers of a constant along the border that a merge may put into the file: 4 MB."""


def read_stencil(node: ir.Node) -> Stencil | None:
    """Return what a node computes, or None where it is no stencil: unknown weights, borders that depend on the size."""
    if kind(node) not in _READERS or spatial_sizes(node.outputs[0]) is None:
        return None
    return _READERS[kind(node)](node)


def fits(channels: int, sizes: Sequence[int]) -> bool:
    """Say whether a constant along the border of a map of these sizes is small enough to be kept."""
    return channels * math.prod(sizes) <= MAP_ELEMENTS_MAX


def is_kept(stencil: Stencil, like: Array) -> bool:
    """Say whether the element type of `like` holds a stencil's numbers."""
    return keeps(stencil.weight, like.dtype, 0) and keeps(stencil.constant, like.dtype)


def write_stencil(model: Model, stencil: Stencil, reads: ir.Value, old: ir.Value, like: Array, name: str) -> None:
    """Let a convolution make what `old` was; its weight has the element type of `like`.

    A constant that differs along the border is added by a node of its own.
    """
    weight = add_initialiser(model, f"{name}.weight", stencil.weight.astype(like.dtype))
    uniform = stencil.constant.reshape(stencil.outputs, -1)
    is_map = bool((uniform != uniform[:, :1]).any())
    bias = np.zeros(0) if is_map else uniform[:, 0]
    inputs: list[ir.Value | None] = [reads, weight]
    if bias.any():
        inputs.append(add_initialiser(model, f"{name}.bias", bias.astype(like.dtype)))
    attributes: dict[str, int | Sequence[int]] = {
        "kernel_shape": stencil.kernel,
        "strides": stencil.strides,
        "dilations": stencil.dilations,
        "pads": (*stencil.before, *stencil.after),
        "group": stencil.group,
    }
    nodes = [ir.node("Conv", inputs, attributes, name=name)]
    if is_map:
        border = add_initialiser(model, f"{name}.border", stencil.constant[None].astype(like.dtype))
        nodes[0].outputs[0].shape, nodes[0].outputs[0].type = old.shape, old.type
        nodes.append(ir.node("Add", [nodes[0].outputs[0], border], name=f"{name}_border"))
    make_instead(model, old, nodes)


def _convolution(node: ir.Node) -> Stencil | None:
    weight = node.inputs[1]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not is_constant(weight) or (bias is not None and not is_constant(bias)):
        return None
    numbers = array_of(weight)
    kernel = numbers.shape[2:]
    borders = _borders(node, kernel)
    if borders is None:
        return None
    ones = (1,) * len(kernel)
    constant = np.zeros(len(numbers)) if bias is None else array_of(bias).astype(np.float64)
    return Stencil(
        weight=numbers,
        constant=constant.reshape(-1, *ones),
        strides=_sizes(node, "strides", ones),
        dilations=_sizes(node, "dilations", ones),
        before=borders[0],
        after=borders[1],
        group=node.attributes.get_int("group", 1),
    )


def _average(node: ir.Node) -> Stencil | None:
    """An average over a window is a convolution of each channel, as long as zeros of the border count as numbers."""
    kernel = _sizes(node, "kernel_shape", ())
    borders, channels = _borders(node, kernel), _channels(node)
    counted = node.attributes.get_int("count_include_pad", 0) == 1
    if borders is None or channels is None or node.attributes.get_int("ceil_mode", 0) == 1:
        return None
    if not counted and any((*borders[0], *borders[1])):
        return None
    ones = (1,) * len(kernel)
    return Stencil(
        weight=np.full((channels, 1, *kernel), 1 / math.prod(kernel)),
        constant=np.zeros((channels, *ones)),
        strides=_sizes(node, "strides", ones),
        dilations=_sizes(node, "dilations", ones),
        before=borders[0],
        after=borders[1],
        group=channels,
    )


def _batch_norm(node: ir.Node) -> Stencil | None:
    affine, sizes = read_affine(node), spatial_sizes(node.outputs[0])
    return None if affine is None or sizes is None else diagonal(affine.scale, affine.shift, len(sizes))


_READERS = {"Conv": _convolution, "AveragePool": _average, "BatchNormalization": _batch_norm}


def _sizes(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(size) for size in node.attributes.get_ints(name, default) or default)


def _borders(node: ir.Node, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the zeros before and after each axis; None where they depend on the size of the image."""
    rank, mode = len(kernel), node.attributes.get_string("auto_pad", "NOTSET")
    zeros, ones = (0,) * rank, (1,) * rank
    if mode == "VALID":
        return zeros, zeros
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        if any(step != 1 for step in _sizes(node, "strides", ones)):
            return None
        whole = [(k - 1) * d for k, d in zip(kernel, _sizes(node, "dilations", ones), strict=True)]
        less, more = tuple(size // 2 for size in whole), tuple(size - size // 2 for size in whole)
        return (less, more) if mode == "SAME_UPPER" else (more, less)
    pads = _sizes(node, "pads", zeros + zeros)
    return (pads[:rank], pads[rank:]) if min(pads, default=0) >= 0 else None


def _channels(node: ir.Node) -> int | None:
    shape = node.outputs[0].shape
    size = None if shape is None else shape[1]
    return size if isinstance(size, int) else None
