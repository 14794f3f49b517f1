"""How exactly training calculates: bfloat16 where the processor multiplies it several times as fast."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx_ir as ir
import torch

from engine.graph.edits import kind
from engine.graph.model import Model
from engine.graph.stretch import stretch

NOISE = 0.01
"""The feature error below which bfloat16's own, a few thousandths after fifty layers, would hide what is learnt."""

PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
AROUND_PRODUCTS = frozenset(
    (
        *("Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Flatten", "GlobalAveragePool", "Identity"),
        *("LeakyRelu", "MaxPool", "Mul", "Relu", "Reshape", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
    )
)
"""Operators that have a kernel for bfloat16 and lose no more by it than a product does.

Powers, quotients and normalisations over few numbers lose more, and some, like Det, have no such kernel.
"""


def trains_in_halves(model: Model, given: Collection[str], wanted: Sequence[str], device: str, error: float) -> bool:
    """Tell whether products may be taken in bfloat16, weights and sums staying as they are.

    Only what lies between the values `given` and those `wanted` is trained, and all of it has to be known to bear that.
    A step of ResNet-56 takes 0.23 s so, and 0.39 s otherwise (batch 64, one core with matrix tiles). A network with
    grouped convolutions gains nothing: their gradients take several times as long in bfloat16.
    """
    if device != "cpu" or error <= NOISE or not has_matrix_tiles():
        return False
    return all(_bears_halves(node) for node in stretch(model, given, wanted).graph)


def has_matrix_tiles() -> bool:
    """Tell whether the processor multiplies bfloat16 in tiles; without, the same training takes ten times as long."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def _bears_halves(node: ir.Node) -> bool:
    grouped = "group" in node.attributes and node.attributes["group"].as_int() > 1
    return kind(node) in PRODUCTS | AROUND_PRODUCTS and not grouped
