"""Convolution, its map laid out as a row or averaged, and then a linear layer: one linear layer."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, kind, only_reader
from engine.graph.merges.convolution import WIDE_BYTES, read_stencil
from engine.graph.merges.linear import Linear, is_kept, read_linear, write_linear
from engine.graph.merges.offer import Offer, known, spatial_sizes
from engine.graph.merges.stencil import Stencil, taps_at
from engine.graph.model import Model

_ROWS = {"Flatten", "Reshape", "Squeeze"}


def conv_linear(model: Model, node: ir.Node) -> Offer | None:
    """Offer to merge a convolution of a known size into the linear layer that reads all of its map as one row.

    Both are linear in the image, borders included, so any kernel will do; whether it pays is another matter. What is
    averaged over the whole map first comes as a map of one place: pooling goes before a 1x1, says `pool_first`.
    """
    layer = read_linear(node)
    row = None if layer is None else layer.reads.producer()
    conv = None if row is None or row.inputs[0] is None else row.inputs[0].producer()
    if layer is None or row is None or conv is None or not _is_a_row(row, node) or kind(conv) != "Conv":
        return None
    stencil, reads, sizes = read_stencil(conv), conv.inputs[0], known(spatial_sizes(conv.inputs[0]))
    if stencil is None or reads is None or sizes is None or only_reader(conv.outputs[0]) is not row:
        return None
    places = math.prod(stencil.sizes_after(sizes))
    if stencil.outputs * places != layer.inputs:
        return None
    if layer.dtype.itemsize < WIDE_BYTES and not is_kept(layer, *_in_one(stencil, layer, sizes)):
        return None

    def apply() -> None:
        flat = ir.node("Flatten", [reads], {"axis": 1}, name=str(row.name))
        model.graph.insert_before(row, flat)
        flat.outputs[0].shape = ir.Shape([reads.shape[0] if reads.shape else None, stencil.inputs * math.prod(sizes)])
        flat.outputs[0].type = reads.type
        write_linear(model, layer, flat.outputs[0], *_in_one(stencil, layer, sizes))

    return Offer(
        nodes=(str(conv.name), str(row.name), *(str(part.name) for part in layer.nodes)),
        macs_before=stencil.weight.size * places + layer.inputs * layer.outputs,
        macs_after=stencil.inputs * math.prod(sizes) * layer.outputs,
        apply=apply,
    )


def _is_a_row(row: ir.Node, node: ir.Node) -> bool:
    """Say whether a node only writes each image as one row, for `node` alone."""
    made, read = row.outputs[0], row.inputs[0]
    if kind(row) not in _ROWS or read is None or read.shape is None or made.shape is None or len(made.shape) != 2:
        return False
    numbers = [size for size in tuple(read.shape)[1:] if isinstance(size, int)]
    whole = len(numbers) == len(read.shape) - 1 and made.shape[1] == math.prod(numbers)
    return whole and only_reader(made) is node


def _in_one(stencil: Stencil, layer: Linear, sizes: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the matrix that reads the image itself, each column slid back over the image, and the bias."""
    after, matrix = stencil.sizes_after(sizes), layer.weight.astype(np.float64)
    columns = matrix.T.reshape(-1, stencil.outputs, *after)  # (out, channel, *map)
    weight = _slide_back(stencil, columns, sizes).reshape(len(columns), -1).T
    constant = np.broadcast_to(stencil.constant, (stencil.outputs, *after)).reshape(-1) @ matrix
    return weight, np.asarray(constant if layer.bias is None else constant + layer.bias)


def _slide_back(stencil: Stencil, columns: Array, sizes: tuple[int, ...]) -> Array:
    """Return the transpose of the stencil applied to maps (many, out, *map): maps (many, in, *sizes)."""
    after, group = columns.shape[2:], stencil.group
    weight = stencil.weight.astype(np.float64).reshape(group, -1, *stencil.weight.shape[1:])
    padded = [n + b + a for n, b, a in zip(sizes, stencil.before, stencil.after, strict=True)]
    total = np.zeros((len(columns), stencil.inputs, *padded))
    grouped = columns.reshape(len(columns), group, -1, math.prod(after))
    for tap in np.ndindex(stencil.kernel):
        back = weight[(..., *tap)].transpose(0, 2, 1) @ grouped  # (many, group, in / group, places)
        total[(slice(None), slice(None), *taps_at(stencil, tap, after))] += back.reshape(len(columns), -1, *after)
    inner = (slice(b, b + n) for b, n in zip(stencil.before, sizes, strict=True))
    return total[(slice(None), slice(None), *inner)]
