"""Rotating: another basis for the numbers inside each head, folded into the weights around. What is computed stays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from engine.graph.edits import array_of, set_constant
from engine.graph.heads.blocks import Bias, Block, Head, Heads
from engine.graph.model import Model

Array = npt.NDArray[np.float64]
Move = tuple[Block, Array]
"""A block, and what its columns are multiplied by."""


@dataclass(frozen=True, eq=False)
class Rotation:
    """`bases`, shape (heads, size, size), are what each head's keys or values are multiplied by; none is singular.

    `shifts`, shape (heads, size), are then taken from what a head's values are, and given back behind their readers:
    zero unless it may shift. `shares`, shape (size,), falling, are the parts of what the products make that each number
    stands for after all that.
    """

    heads: Heads
    bases: Array
    shifts: Array
    shares: Array


def rotated(model: Model, rotations: Iterable[Rotation]) -> Model:
    """Return a new model with these heads in other bases: A for keys and values, its inverse for what meets them."""
    new = model.copy()
    for rotation in rotations:
        undone = np.linalg.inv(rotation.bases).swapaxes(1, 2)
        pairs = list(zip(rotation.heads.heads, rotation.bases, undone, strict=True))
        here = [(head.here, basis) for head, basis, _ in pairs]
        there = [(block, undo) for head, _, undo in pairs for block in head.there]
        for weight in dict.fromkeys(block.weight for block, _ in (*here, *there)):
            _rotate_weight(new, weight, [(block, by) for block, by in (*here, *there) if block.weight == weight])
        _rotate_biases(new, [*here, *((block, by) for head, _, by in pairs if not head.mixes for block in head.there)])
        for head, shift in zip(rotation.heads.heads, rotation.shifts, strict=True):
            _shift(new, head, shift)
    return new


def _rotate_weight(model: Model, name: str, moves: Sequence[Move]) -> None:
    old = model.weight(name)
    weight = old.astype(np.float64)
    for block, by in moves:
        along = np.moveaxis(weight, block.axis, 0)  # a view
        along[block.columns] = np.tensordot(by, along[block.columns], 1)
    model.set_weight(name, weight.astype(old.dtype))


def _rotate_biases(model: Model, moves: Iterable[Move]) -> None:
    nodes = model.nodes()
    for block, by in moves:
        for bias in block.biases:
            constant = array_of(nodes[bias.node].inputs[bias.index]).reshape(-1)
            _set_bias(model, nodes[bias.node], bias, by @ constant[bias.places].astype(np.float64))


def _shift(model: Model, head: Head, shift: Array) -> None:
    """Take what is the same in all of a head's values from their bias; weights of a mix sum to one."""
    if not shift.any():
        return
    nodes = model.nodes()
    for block, by in [(head.here, -shift), *((block, _behind(model, block, shift)) for block in head.there)]:
        bias = block.biases[-1]
        constant = array_of(nodes[bias.node].inputs[bias.index]).reshape(-1)
        _set_bias(model, nodes[bias.node], bias, constant[bias.places].astype(np.float64) + by)


def _behind(model: Model, block: Block, shift: Array) -> Array:
    """Return what a layer makes of these numbers of a block that it reads, one for each output."""
    weight = np.moveaxis(model.weight(block.weight).astype(np.float64), block.axis, 0)
    return np.asarray(shift @ weight[block.columns])


def _set_bias(model: Model, node: ir.Node, bias: Bias, numbers: Array) -> None:
    constant = array_of(node.inputs[bias.index])
    flat = constant.astype(np.float64).reshape(-1)
    flat[bias.places] = numbers
    set_constant(model, node, bias.index, flat.reshape(constant.shape).astype(constant.dtype), "bias")
