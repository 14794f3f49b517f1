"""Which element types the executor takes, and with which operators. Torch-free, so that a first look stays light."""

from __future__ import annotations

import onnx_ir as ir

from engine.errors import OperatorUnsupported

TYPES = (
    *("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "BOOL"),
    *("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
)

SCARCE = ("UINT16", "UINT32", "UINT64")
"""Types that PyTorch stores, moves and converts, and hardly calculates with."""

TAKE_SCARCE = frozenset(
    (
        *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Compress", "Concat", "Constant"),
        *("ConstantOfShape", "DepthToSpace", "DequantizeLinear", "Dropout", "Equal", "Expand", "Flatten", "Gather"),
        *("GatherElements", "GatherND", "Identity", "If", "Loop", "Mul", "Pad", "Pow", "QuantizeLinear", "Reshape"),
        *("Scan", "ScatterElements", "Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "TopK"),
        *("Transpose", "Unsqueeze", "Where"),
    )
)
"""The operators that run on them nevertheless."""


def refused_type(node: ir.Node) -> OperatorUnsupported | None:
    """Return the error for a node of a type that it is not run with, as far as the types are known."""
    for value in (*node.inputs, *node.outputs):
        if value is None or value.type is None:
            continue
        kind = value.type.dtype.name if isinstance(value.type, ir.TensorType) else "a sequence or an optional value"
        if not is_run(node.op_type, kind):
            return OperatorUnsupported(
                f"Node '{node.name}': {node.op_type} of {kind} is not supported. Export the network with another "
                f"element type there, such as {'INT64' if kind in SCARCE else 'FLOAT'}.",
                where=node.name,
            )
    return None


def is_run(op_type: str, kind: str) -> bool:
    """Say whether an operator that is run is run with this element type."""
    return kind in TYPES and (kind not in SCARCE or op_type in TAKE_SCARCE)
