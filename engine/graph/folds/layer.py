"""Layers that constants are folded into: what multiplies by a weight, and where its bias is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, array_of, is_constant, keeps, kind, only_reader, set_constant
from engine.graph.model import Model

_LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


@dataclass(frozen=True)
class Layer:
    """A node with a known weight; `add` is the node that adds the bias of a MatMul, if there is one.

    `axis` is where `makes` has the layer's channels.
    """

    node: ir.Node
    add: ir.Node | None
    axis: int

    @property
    def makes(self) -> ir.Value:
        return (self.add or self.node).outputs[0]

    @property
    def takes_bias(self) -> bool:
        """Say whether a bias has a place; a product alone would need a node more."""
        return kind(self.node) != "MatMul" or self.add is not None

    @property
    def group(self) -> int:
        return self.node.attributes.get_int("group", 1)


def layer_at(node: ir.Node) -> Layer | None:
    """Return the layer whose weight a node multiplies by, or None where weight or bias are not known or not plain."""
    if kind(node) not in _LAYERS or not is_constant(node.inputs[1]):
        return None
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and (not is_constant(bias) or array_of(bias).ndim != 1):
        return None
    if kind(node) == "MatMul":
        return _product(node)
    plain = node.attributes.get_int("transA", 0) == 0 and node.attributes.get_float("beta", 1.0) == 1
    return Layer(node, None, axis=1) if plain else None


def layer_reading(value: ir.Value, node: ir.Node, place: int) -> Layer | None:
    """Return the layer that reads a value as its data; a layer inside of another node is none that could change."""
    return layer_at(node) if place == 0 and node.graph is value.graph else None


def layer_making(value: ir.Value) -> Layer | None:
    """Return the layer that makes a value, bias included."""
    node = value.producer()
    if node is not None and kind(node) == "Add":
        node = next((read.producer() for read in node.inputs if read is not None and not is_constant(read)), None)
    layer = None if node is None else layer_at(node)
    return layer if layer is not None and layer.makes is value else None


@dataclass(frozen=True)
class Change:
    """The weight and, where there is one or it changes, the bias that a layer is to have, in double precision."""

    layer: Layer
    weight: Array
    bias: Array | None

    @property
    def is_kept(self) -> bool:
        """Say whether the layer's element type holds the new numbers: half precision ends at 65,504 and at 6e-8."""
        dtype, axis = array_of(self.layer.node.inputs[1]).dtype, _output_axis(self.layer)
        return keeps(self.weight, dtype, axis) and (self.bias is None or keeps(self.bias, dtype))

    def apply(self, model: Model) -> None:
        old = array_of(self.layer.node.inputs[1])
        set_constant(model, self.layer.node, 1, self.weight.astype(old.dtype), "weight")
        if self.bias is not None:
            _set_bias(model, self.layer, self.bias, old)


def change_outputs(layer: Layer, scale: Array, shift: Array) -> Change:
    """Let a layer's channels come out multiplied by `scale` and with `shift` added, for which it must take a bias."""
    weight = array_of(layer.node.inputs[1]).astype(np.float64)
    count = _output_count(layer, weight)
    scale = np.broadcast_to(scale, (count,))
    if kind(layer.node) == "ConvTranspose":  # (in, out / group, *kernel)
        parts = weight.reshape(layer.group, -1, *weight.shape[1:])
        by_group = scale.reshape(layer.group, 1, -1, *(1,) * (weight.ndim - 2))
        new = (parts * by_group).reshape(weight.shape)
    else:
        new = weight * scale.reshape([-1 if axis == _output_axis(layer) else 1 for axis in range(weight.ndim)])
    bias = _bias(layer, count)
    has_bias = bias is not None or shift.any()
    return Change(layer, new, (0.0 if bias is None else bias) * scale + shift if has_bias else None)


def change_inputs(layer: Layer, scale: Array, shift: Array) -> Change:
    """Let a layer see each channel multiplied by `scale` and with `shift` added, without a border around the image."""
    weight = array_of(layer.node.inputs[1])
    axis = 1 if kind(layer.node) == "Conv" or _is_transposed(layer.node) else 0
    seen = weight.shape[axis] * (layer.group if axis == 1 else 1)
    scale, shift = np.broadcast_to(scale, (seen,)), np.broadcast_to(shift, (seen,))
    wide = weight.astype(np.float64)
    if kind(layer.node) == "Conv":
        outputs = np.arange(len(weight)) // (len(weight) // layer.group)
        first = outputs[:, None] * weight.shape[1] + np.arange(weight.shape[1])  # (out, in / group): channels seen
        kernel = (1,) * (weight.ndim - 2)
        new, summed = wide * scale[first].reshape(*first.shape, *kernel), wide.sum(axis=tuple(range(2, weight.ndim)))
        added = (summed * shift[first]).sum(axis=1)
    else:
        matrix = wide.T if axis == 1 else wide
        new = (matrix * scale[:, None]).T if axis == 1 else matrix * scale[:, None]
        added = shift @ matrix * layer.node.attributes.get_float("alpha", 1.0)
    bias = _bias(layer, len(added)) if added.any() else None
    return Change(layer, new, None if not added.any() else added if bias is None else bias + added)


def _product(node: ir.Node) -> Layer | None:
    weight, product = array_of(node.inputs[1]), node.outputs[0]
    if weight.ndim != 2 or product.shape is None:
        return None
    add, axis = only_reader(product), len(product.shape) - 1
    constants = [] if add is None else [value for value in add.inputs if is_constant(value)]
    is_bias = add is not None and kind(add) == "Add" and len(constants) == 1
    if is_bias and add is not None and add.outputs[0].shape == product.shape:
        bias = array_of(constants[0])
        if bias.shape[-1:] == (weight.shape[1],) == (bias.size,):
            return Layer(node, add, axis)
    return Layer(node, None, axis)


def _output_axis(layer: Layer) -> int:
    return 0 if kind(layer.node) == "Conv" or _is_transposed(layer.node) else 1


def _output_count(layer: Layer, weight: Array) -> int:
    return int(weight.shape[_output_axis(layer)]) * (layer.group if kind(layer.node) == "ConvTranspose" else 1)


def _is_transposed(node: ir.Node) -> bool:
    return node.attributes.get_int("transB", 0) == 1


def _bias(layer: Layer, count: int) -> Array | None:
    """Return the bias, a number for each channel, in double precision."""
    node, place = _bias_place(layer)
    value = node.inputs[place] if len(node.inputs) > place else None
    if value is None or (layer.add is None and kind(layer.node) == "MatMul"):
        return None
    return np.asarray(np.broadcast_to(array_of(value).astype(np.float64).reshape(-1), (count,)))


def _set_bias(model: Model, layer: Layer, bias: Array, weight: Array) -> None:
    node, place = _bias_place(layer)
    shape = array_of(node.inputs[place]).shape if layer.add is not None else (-1,)
    set_constant(model, node, place, bias.reshape(shape).astype(weight.dtype), "bias")


def _bias_place(layer: Layer) -> tuple[ir.Node, int]:
    if layer.add is None:
        return layer.node, 2
    return layer.add, next(place for place, value in enumerate(layer.add.inputs) if is_constant(value))
