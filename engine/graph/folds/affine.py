"""What multiplies each channel by a number and adds another: batch norm, and products and sums with constants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, array_of, is_constant, kind

_EPSILON = 1e-5
_WITH_CONSTANT = {"Add", "Div", "Mul", "Sub"}


@dataclass(frozen=True)
class Affine:
    """`makes` = `reads` * scale + shift; both hold a number for each place along `axis`, or one (1,) for all."""

    node: ir.Node
    reads: ir.Value
    makes: ir.Value
    scale: Array
    shift: Array
    axis: int

    @property
    def is_along_channels(self) -> bool:
        return self.scale.size * self.shift.size > 1


def read_affine(node: ir.Node) -> Affine | None:
    """Return what a node multiplies by and adds, or None where it does anything else."""
    if kind(node) == "BatchNormalization":
        return _batch_norm(node)
    if kind(node) not in _WITH_CONSTANT or len(node.inputs) != 2:
        return None
    places = [place for place, value in enumerate(node.inputs) if is_constant(value)]
    reads = node.inputs[1 - places[0]] if len(places) == 1 else None
    made = node.outputs[0]
    if reads is None or reads.shape is None or made.shape is None or tuple(reads.shape) != tuple(made.shape):
        return None
    along = _along_one_axis(array_of(node.inputs[places[0]]).astype(np.float64), made.shape)
    if along is None:
        return None
    numbers, axis = along
    if kind(node) == "Div" and (places[0] == 0 or not numbers.all()):
        return None
    scale, shift = _scale_and_shift(kind(node), numbers, constant_first=places[0] == 0)
    return Affine(node, reads, made, scale, shift, axis)


def _scale_and_shift(op_type: str, numbers: Array, *, constant_first: bool) -> tuple[Array, Array]:
    one, zero = np.ones(1), np.zeros(1)
    if op_type == "Sub":
        return (-one, numbers) if constant_first else (one, -numbers)
    if op_type == "Add":
        return one, numbers
    return (numbers if op_type == "Mul" else 1 / numbers), zero


def _batch_norm(node: ir.Node) -> Affine | None:
    trains = node.attributes.get_int("training_mode", 0) == 1 or len(node.outputs) > 1
    reads = node.inputs[0]
    if trains or reads is None or not all(is_constant(value) for value in node.inputs[1:5]):
        return None
    scale, shift, mean, variance = (array_of(value).astype(np.float64) for value in node.inputs[1:5])
    factor = scale / np.sqrt(variance + node.attributes.get_float("epsilon", _EPSILON))
    return Affine(node, reads, node.outputs[0], factor, shift - mean * factor, axis=1)


def _along_one_axis(numbers: Array, shape: ir.Shape) -> tuple[Array, int] | None:
    """Return a constant as numbers along one axis of the value that it meets, None where it has more axes."""
    sizes = (1,) * (len(shape) - numbers.ndim) + numbers.shape
    wide = [axis for axis, size in enumerate(sizes) if size != 1]
    if len(wide) > 1:
        return None
    return numbers.reshape(-1), wide[0] if wide else len(shape) - 1
