"""The names of the operators that the executor runs, by family. Torch-free, so that a first look at a file stays light.

operators/ holds one builder for each name; a test keeps the two the same.
"""

from __future__ import annotations

FAMILIES: dict[str, tuple[str, ...]] = {
    "convolution": ("Conv", "ConvTranspose"),
    "linear": ("Det", "Einsum", "Gemm", "MatMul"),
    "attention": ("Attention", "RotaryEmbedding"),
    "recurrent": ("GRU", "LSTM", "RNN"),
    "normalization": (
        *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization"),
        *("LpNormalization", "MeanVarianceNormalization", "RMSNormalization"),
    ),
    "pooling": (
        *("AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool", "MaxUnpool"),
    ),
    "activation": (
        *("Celu", "Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Hardmax", "LeakyRelu", "LogSoftmax", "Mish"),
        *("PRelu", "Relu", "Selu", "Shrink", "Sigmoid", "Softmax", "Softplus", "Softsign", "Swish", "Tanh"),
        "ThresholdedRelu",
    ),
    "elementwise": (
        *("Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd"),
        *("BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "CastLike", "Ceil", "Cos", "Cosh", "Div", "Equal", "Erf"),
        *("Exp", "Floor", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Log", "Max", "Mean"),
        *("Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Round", "Sign", "Sin", "Sinh", "Sqrt", "Sub"),
        *("Sum", "Tan", "Where", "Xor"),
    ),
    "reduction": (
        *("ArgMax", "ArgMin", "CumSum", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax"),
        *("ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "TopK"),
    ),
    "shape": (
        *("DepthToSpace", "Dropout", "Expand", "Flatten", "Identity", "Reshape", "Shape", "Size", "SpaceToDepth"),
        *("Squeeze", "Tile", "Transpose", "Unsqueeze"),
    ),
    "indexing": (
        *("Concat", "Constant", "ConstantOfShape", "EyeLike", "Gather", "GatherElements", "GatherND", "NonZero"),
        *("OneHot", "Pad", "Range", "Scatter", "ScatterElements", "ScatterND", "Slice", "Split", "Trilu"),
    ),
    "rearranging": ("CenterCropPad", "Col2Im", "Compress", "ReverseSequence", "Unique"),
    "sampling": ("AffineGrid", "DeformConv", "GridSample", "MaxRoiPool", "RoiAlign"),
    "detection": ("NonMaxSuppression",),
    "quantization": (
        *("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
        "QuantizeLinear",
    ),
    "control": ("If", "Loop", "Scan"),
    "spectral": ("BlackmanWindow", "DFT", "HammingWindow", "HannWindow", "STFT"),
    "resize": ("Resize", "Upsample"),
}

WITHOUT_GRADIENT = frozenset(
    (
        *("And", "ArgMax", "ArgMin", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"),
        *("BlackmanWindow", "Ceil", "Constant", "ConstantOfShape", "ConvInteger", "DynamicQuantizeLinear", "Equal"),
        *("EyeLike", "Floor", "Greater", "GreaterOrEqual", "HammingWindow", "HannWindow", "Hardmax", "IsInf", "IsNaN"),
        *("Less", "LessOrEqual", "MatMulInteger", "NonMaxSuppression", "NonZero", "Not", "Or", "QLinearConv"),
        *("QLinearMatMul", "QuantizeLinear", "Range", "Round", "Shape", "Sign", "Size", "Xor"),
    )
)
"""Operators through which nothing is learnt: their results are whole numbers, truths, choices or settings."""

SUPPORTED = frozenset(name for names in FAMILIES.values() for name in names)


def unsupported_message(node_name: str, op_type: str) -> str:
    """Say that an operator is not run and which ones are."""
    known = ", ".join(sorted(SUPPORTED))
    return (
        f"Node '{node_name}': the operator ai.onnx.{op_type} is not supported. Export the network with these: {known}."
    )
