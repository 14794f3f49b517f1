"""A network's weights drawn anew, as if it had never learnt. Knows what each weight is from who reads it."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from engine.execution.trainable import is_trainable, running_statistics
from engine.graph.edits import Array, array_of, kind
from engine.graph.model import Model

LAYERS = {"Conv", "ConvTranspose", "DeformConv", "Gemm", "MatMul"}
NORMS = {
    "BatchNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "RMSNormalization",
}
_RECURRENT = {"GRU", "LSTM", "RNN"}
_ASKS_FOR_SIZES = {"Shape", "Size"}
_HANDS_ON = {"Cast", "Identity", "Reshape", "Transpose"}

EMBEDDING_SPREAD = 0.02
"""Of what is added to tokens, such as their positions: published vision transformers start there."""

SLOPE = 0.25
"""Of a rectifier that learns its slope."""


def initialise(model: Model, seed: int) -> None:
    """Draw every weight anew, in place: nothing that was learnt is left.

    Kernels and matrices are normal with variance 2 / inputs; biases are zero, scales one, running statistics those of
    nothing seen. What comes before the first layer prepares the image and stays, and so does a mask.
    He et al., "Delving Deep into Rectifiers", ICCV 2015. arXiv:1502.01852
    """
    generator, statistics = np.random.default_rng(seed), running_statistics(model.graph)
    prepares = _before_the_first_layer(model)
    for name, value in model.graph.initializers.items():
        if name not in statistics and not is_trainable(value):
            continue
        node, index = _reader(value)
        if node is not None and node not in prepares:
            old = array_of(value)
            model.set_weight(name, drawn(node, index, old, generator).astype(old.dtype))


def drawn(node: ir.Node, index: int, old: Array, generator: np.random.Generator) -> Array:
    """Return what the input `index` of a node starts from, in the shape of what it was."""
    constant = _constant_of(kind(node), index, old)
    if constant is not None:
        return np.full(old.shape, constant)
    if kind(node) in LAYERS:
        return generator.normal(0.0, math.sqrt(2 / _inputs_of(node, index, old)), old.shape)
    if kind(node) in _RECURRENT:
        spread = 1 / math.sqrt(node.attributes.get_int("hidden_size", old.shape[-1]))
        return generator.uniform(-spread, spread, old.shape)
    is_mask = np.unique(old).size <= 2
    return old if is_mask else generator.normal(0.0, EMBEDDING_SPREAD, old.shape)


def _constant_of(op_type: str, index: int, old: Array) -> float | None:
    """Return the number that all elements start from, None where they are to be drawn."""
    if op_type in NORMS:
        return float(index in (1, 4))
    if op_type in LAYERS:
        return 0.0 if index >= 2 else None
    if op_type == "PRelu":
        return SLOPE
    is_along_one_axis = sum(size > 1 for size in old.shape) <= 1
    return float(op_type in ("Mul", "Div")) if is_along_one_axis and op_type not in _RECURRENT else None


def _inputs_of(node: ir.Node, index: int, weight: Array) -> float:
    """Return how many numbers each output of a layer is summed from."""
    shape = tuple(map(int, weight.shape))
    match kind(node):
        case "ConvTranspose":
            places = math.prod(shape[2:]) / math.prod(node.attributes.get_ints("strides", (1,)))
            return max(shape[0] // node.attributes.get_int("group", 1) * places, 1.0)
        case "Gemm":
            turned = node.attributes.get_int("transA" if index == 0 else "transB", 0)
            return shape[(index + turned + 1) % 2]
        case "MatMul":
            return shape[-2] if index == 1 and len(shape) > 1 else shape[-1]
    return math.prod(shape[1:])


def _reader(value: ir.Value) -> tuple[ir.Node | None, int]:
    """Return the first node that calculates with a weight, and which of its inputs that is."""
    use = next(iter(value.uses()), None)
    while use is not None and kind(use.node) in _HANDS_ON:
        use = next(iter(use.node.outputs[0].uses()), None)
    return (None, 0) if use is None else (use.node, use.idx)


def _before_the_first_layer(model: Model) -> set[ir.Node]:
    """Return the nodes that the image goes through before any layer does; its sizes alone are no image."""
    image, behind = {value for value in model.graph.inputs if not value.is_initializer()}, set[ir.Value]()
    found: set[ir.Node] = set()
    for node in model.graph:
        if kind(node) in LAYERS | _RECURRENT or any(value in behind for value in node.inputs):
            behind.update(node.outputs)
        elif kind(node) not in _ASKS_FOR_SIZES and any(value in image for value in node.inputs):
            found.add(node)
            image.update(node.outputs)
    return found
