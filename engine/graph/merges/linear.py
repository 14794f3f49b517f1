"""From nodes to linear layers and back: Gemm and MatMul with one known matrix, and the bias that is added behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, add_initialiser, array_of, is_constant, make_instead, only_reader
from engine.graph.model import Model


@dataclass(frozen=True)
class Linear:
    """`makes` = `reads` @ `weight` + `bias`; weight is (in, out), bias broadcasts and ends in 1 or out numbers.

    `nodes` are the product and, where the bias is added by a node of its own, that node.
    """

    nodes: tuple[ir.Node, ...]
    reads: ir.Value
    makes: ir.Value
    weight: Array
    bias: Array | None

    @property
    def is_matrix(self) -> bool:
        """Say whether rows of numbers go in, with no axis but the batch."""
        return self.reads.shape is not None and len(self.reads.shape) == 2

    @property
    def tokens(self) -> int | None:
        """How many rows there are for one image; None where that is open."""
        sizes = None if self.reads.shape is None else tuple(self.reads.shape)[1:-1]
        numbers = [size for size in sizes or () if isinstance(size, int)]
        return int(np.prod(numbers)) if sizes is not None and len(numbers) == len(sizes) else None


def read_linear(node: ir.Node) -> Linear | None:
    """Return the linear layer that begins at a node, or None where there is none."""
    if node.op_type == "Gemm":
        return _gemm(node)
    if node.op_type != "MatMul" or node.inputs[0] is None or not is_constant(node.inputs[1]):
        return None
    weight = array_of(node.inputs[1])
    if weight.ndim != 2:
        return None
    product = node.outputs[0]
    add = only_reader(product)
    bias = None if add is None else _bias(add, product)
    nodes = (node,) if add is None or bias is None else (node, add)
    return Linear(nodes, node.inputs[0], nodes[-1].outputs[0], weight, bias)


def linear_before(value: ir.Value | None) -> Linear | None:
    """Return the linear layer that makes a value."""
    node = None if value is None else value.producer()
    if node is not None and node.op_type == "Add":
        node = next((read.producer() for read in node.inputs if read is not None and not is_constant(read)), None)
    found = None if node is None else read_linear(node)
    return found if found is not None and found.makes is value else None


def write_linear(model: Model, layer: Linear, old: ir.Value, name: str, dtype: np.dtype[np.floating]) -> None:
    """Let a linear layer make what `old` was: a Gemm where only rows come in, else a product and, if any, its bias."""
    weight = add_initialiser(model, f"{name}.weight", layer.weight.astype(dtype))
    bias = layer.bias if layer.bias is not None and layer.bias.any() else None
    if layer.is_matrix and (bias is None or bias.size in (1, layer.weight.shape[1])):
        row = np.zeros(0) if bias is None else np.broadcast_to(bias.reshape(-1), layer.weight.shape[1:])
        added = [add_initialiser(model, f"{name}.bias", row.astype(dtype))] if bias is not None else []
        make_instead(model, old, [ir.node("Gemm", [layer.reads, weight, *added], name=name)])
        return
    nodes = [ir.node("MatMul", [layer.reads, weight], name=name)]
    if bias is not None:
        product = nodes[0].outputs[0]
        product.shape, product.type = old.shape, old.type
        nodes.append(
            ir.node("Add", [product, add_initialiser(model, f"{name}.bias", bias.astype(dtype))], name=f"{name}_bias")
        )
    make_instead(model, old, nodes)


def _gemm(node: ir.Node) -> Linear | None:
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if node.inputs[0] is None or not is_constant(node.inputs[1]) or node.attributes.get_int("transA", 0) == 1:
        return None
    if bias is not None and not is_constant(bias):
        return None
    weight = array_of(node.inputs[1])
    weight = weight.T if node.attributes.get_int("transB", 0) == 1 else weight
    scaled = weight * weight.dtype.type(node.attributes.get_float("alpha", 1.0))
    added = None if bias is None else array_of(bias) * weight.dtype.type(node.attributes.get_float("beta", 1.0))
    if added is not None and added.ndim > 1 and added.shape[0] != 1:
        return None  # a row for each image: the batch would be fixed
    return Linear((node,), node.inputs[0], node.outputs[0], scaled, added)


def _bias(add: ir.Node, product: ir.Value) -> Array | None:
    """Return the constant that a node adds to a product without giving it more axes or rows."""
    constants = [value for value in add.inputs if is_constant(value)]
    if add.op_type != "Add" or len(constants) != 1 or product.shape is None or add.outputs[0].shape is None:
        return None
    bias = array_of(constants[0])
    leading = bias.shape[0] if bias.ndim == len(product.shape) else 1
    return bias if bias.ndim <= len(product.shape) and product.shape == add.outputs[0].shape and leading == 1 else None
