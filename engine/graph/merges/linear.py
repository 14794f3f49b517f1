"""From nodes to linear layers and back: Gemm and MatMul with one known matrix, and the bias that is added behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, add_initialiser, array_of, is_constant, keeps, kind, make_instead, only_reader
from engine.graph.merges.convolution import WIDE_BYTES
from engine.graph.model import Model


@dataclass(frozen=True)
class Linear:
    """`makes` = `reads` @ `weight` + `bias`; bias broadcasts and ends in 1 or as many numbers as there are outputs.

    `nodes` are the product and, where the bias is added by a node of its own, that node. The weight is looked at only
    where it is asked for: rules see many layers, and most of them stay as they are.
    """

    nodes: tuple[ir.Node, ...]
    reads: ir.Value
    makes: ir.Value
    inputs: int
    outputs: int
    bias: Array | None

    @property
    def weight(self) -> Array:
        """The matrix, (in, out), with what a Gemm multiplies it by."""
        node = self.nodes[0]
        matrix = array_of(node.inputs[1])
        if self.dtype.itemsize < WIDE_BYTES:
            matrix = matrix.astype(np.float64)
        factor = matrix.dtype.type(node.attributes.get_float("alpha", 1.0))
        return (matrix.T if node.attributes.get_int("transB", 0) == 1 else matrix) * factor

    @property
    def dtype(self) -> np.dtype[np.floating[Any]]:
        return array_of(self.nodes[0].inputs[1]).dtype

    @property
    def tokens(self) -> int | None:
        """How many rows there are for one image; None where that is open."""
        sizes = None if self.reads.shape is None else tuple(self.reads.shape)[1:-1]
        numbers = [size for size in sizes or () if isinstance(size, int)]
        return int(np.prod(numbers)) if sizes is not None and len(numbers) == len(sizes) else None


def read_linear(node: ir.Node) -> Linear | None:
    """Return the linear layer that begins at a node, or None where there is none."""
    if kind(node) == "Gemm":
        return _gemm(node)
    if kind(node) != "MatMul" or node.inputs[0] is None or not is_constant(node.inputs[1]):
        return None
    sizes = _sizes(node.inputs[1])
    if sizes is None:
        return None
    product = node.outputs[0]
    add = only_reader(product)
    bias = None if add is None else _bias(add, product)
    nodes = (node,) if add is None or bias is None else (node, add)
    return Linear(nodes, node.inputs[0], nodes[-1].outputs[0], *sizes, bias)


def is_kept(layer: Linear, weight: Array, bias: Array | None) -> bool:
    """Say whether the element type of a layer holds the numbers that it is to have."""
    return keeps(weight, layer.dtype, 1) and (bias is None or keeps(np.asarray(bias, np.float64), layer.dtype))


def linear_before(value: ir.Value | None) -> Linear | None:
    """Return the linear layer that makes a value."""
    node = None if value is None else value.producer()
    if node is not None and kind(node) == "Add":
        node = next((read.producer() for read in node.inputs if read is not None and not is_constant(read)), None)
    found = None if node is None else read_linear(node)
    return found if found is not None and found.makes is value else None


def write_linear(model: Model, layer: Linear, reads: ir.Value, weight: Array, bias: Array | None) -> None:
    """Let one node make what `layer` made, and that under its name: a Gemm where only rows come in, else a product.

    A bias is added to a product by a node of its own; all keeps the element type that the layer had.
    """
    name, dtype, old = str(layer.nodes[0].name), layer.dtype, layer.makes
    matrix = add_initialiser(model, f"{name}.weight", weight.astype(dtype))
    bias = bias.astype(dtype) if bias is not None and bias.any() else None
    if reads.shape is not None and len(reads.shape) == 2 and (bias is None or bias.size in (1, weight.shape[1])):
        row = None if bias is None else np.broadcast_to(bias.reshape(-1), weight.shape[1:])
        added = [] if row is None else [add_initialiser(model, f"{name}.bias", row)]
        make_instead(model, old, [ir.node("Gemm", [reads, matrix, *added], name=name)])
        return
    nodes = [ir.node("MatMul", [reads, matrix], name=name)]
    if bias is not None:
        product = nodes[0].outputs[0]
        product.shape, product.type = old.shape, old.type
        nodes.append(ir.node("Add", [product, add_initialiser(model, f"{name}.bias", bias)], name=f"{name}_bias"))
    make_instead(model, old, nodes)


def _gemm(node: ir.Node) -> Linear | None:
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if node.inputs[0] is None or not is_constant(node.inputs[1]) or node.attributes.get_int("transA", 0) == 1:
        return None
    if bias is not None and not is_constant(bias):
        return None
    sizes = _sizes(node.inputs[1])
    if sizes is None:
        return None
    inputs, outputs = sizes[::-1] if node.attributes.get_int("transB", 0) == 1 else sizes
    added = None if bias is None else np.asarray(array_of(bias) * np.float32(node.attributes.get_float("beta", 1.0)))
    if added is not None and added.ndim > 1 and added.shape[0] != 1:
        return None  # a row for each image: the batch would be fixed
    return Linear((node,), node.inputs[0], node.outputs[0], inputs, outputs, added)


def _sizes(matrix: ir.Value | None) -> tuple[int, int] | None:
    sizes = () if matrix is None or matrix.const_value is None else matrix.const_value.shape.numpy()
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None


def _bias(add: ir.Node, product: ir.Value) -> Array | None:
    """Return the constant that a node adds to a product without giving it more axes or rows."""
    constants = [value for value in add.inputs if is_constant(value)]
    if kind(add) != "Add" or len(constants) != 1 or product.shape is None or add.outputs[0].shape is None:
        return None
    bias = array_of(constants[0])
    leading = bias.shape[0] if bias.ndim == len(product.shape) else 1
    return bias if bias.ndim <= len(product.shape) and product.shape == add.outputs[0].shape and leading == 1 else None
