"""Which initialisers are weights: what training may change, what batch norm keeps, and what must stay as it is."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

FIXED_INPUTS = {
    "AffineGrid": {0},
    "Clip": {1, 2},
    "ConstantOfShape": {0},
    "DequantizeLinear": {1},
    "Dropout": {1},
    "GRU": {5},
    "GridSample": {1},
    "LSTM": {5, 6},
    "MaxRoiPool": {1},
    "NonMaxSuppression": {2, 3, 4},
    "OneHot": {1, 2},
    "Pad": {2},
    "Pow": {1},
    "QLinearConv": {1, 4, 6},
    "QLinearMatMul": {1, 4, 6},
    "QuantizeLinear": {1},
    "RNN": {5},
    "Range": {0, 1, 2},
    "Resize": {1, 2, 3},
    "RoiAlign": {1},
    "RotaryEmbedding": {1, 2},
    "STFT": {2},
    "Upsample": {1},
}
"""Inputs that hold a setting, not a weight, though their elements are floating-point numbers."""

WEIGHT_INPUTS = {
    "BatchNormalization": {1, 2},
    "Conv": {1, 2},
    "ConvTranspose": {1, 2},
    "DeformConv": {1, 3},
    "GRU": {1, 2, 3},
    "Gemm": {1, 2},
    "GroupNormalization": {1, 2},
    "InstanceNormalization": {1, 2},
    "LSTM": {1, 2, 3, 7},
    "LayerNormalization": {1, 2},
    "RMSNormalization": {1},
    "RNN": {1, 2, 3},
}
"""Inputs that hold a weight even when it has one element only; elsewhere a lone number is a constant of a formula."""

MASK_READERS = {"Add", "Attention", "Where"}
"""Operators that read masks; one that holds minus infinity says what is not to be seen, which nothing learns."""

_TRAINABLE_TYPES = {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}


def is_trainable(initialiser: ir.Value) -> bool:
    """Say whether some node reads the initialiser as a weight and none as a setting."""
    if initialiser.const_value is None or initialiser.const_value.dtype not in _TRAINABLE_TYPES:
        return False
    uses = [(use.node.op_type, use.idx) for use in initialiser.uses()]
    if any(index in FIXED_INPUTS.get(op_type, ()) for op_type, index in uses):
        return False
    if any(op_type in MASK_READERS for op_type, _ in uses) and np.isneginf(initialiser.const_value.numpy()).any():
        return False
    if initialiser.const_value.size == 1:
        return any(index in WEIGHT_INPUTS.get(op_type, ()) for op_type, index in uses)
    return bool(uses)


def running_statistics(graph: ir.Graph) -> set[str]:
    """Return the names of the initialisers that batch norms keep their mean and variance in."""
    norms = (node for node in graph if node.op_type == "BatchNormalization")
    return {str(value.name) for node in norms for value in node.inputs[3:5] if value is not None}
