"""Linear layer and then linear layer: one matrix, the product of both."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from engine.graph.edits import Array, only_reader
from engine.graph.merges.convolution import WIDE_BYTES
from engine.graph.merges.linear import Linear, is_kept, linear_before, read_linear, write_linear
from engine.graph.merges.offer import Offer
from engine.graph.model import Model


def linear_linear(model: Model, node: ir.Node) -> Offer | None:
    """Offer to merge a linear layer into the one that it alone reads."""
    second = read_linear(node)
    first = None if second is None else linear_before(second.reads)
    if first is None or second is None or only_reader(second.reads) is not node:
        return None
    tokens = first.tokens or 1
    before, after = first, second

    if after.dtype.itemsize < WIDE_BYTES and not is_kept(after, *_in_one(before, after)):
        return None

    def apply() -> None:
        write_linear(model, after, before.reads, *_in_one(before, after))

    return Offer(
        nodes=tuple(str(part.name) for part in (*first.nodes, *second.nodes)),
        macs_before=(first.inputs * first.outputs + second.inputs * second.outputs) * tokens,
        macs_after=first.inputs * second.outputs * tokens,
        apply=apply,
    )


def _in_one(first: Linear, second: Linear) -> tuple[Array, Array | None]:
    return first.weight.astype(np.float64) @ second.weight, _sum(_carried(first, second), second.bias)


def _carried(first: Linear, second: Linear) -> Array | None:
    """Return what the first bias becomes behind the second matrix."""
    if first.bias is None:
        return None
    wide = np.broadcast_to(first.bias, (*first.bias.shape[:-1], first.outputs))
    return np.asarray(wide.astype(np.float64) @ second.weight)


def _sum(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else a if b is None else np.asarray(a + b)
