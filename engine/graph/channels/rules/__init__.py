"""How channels pass through each operator: one file a family, one line an operator. What has no line is frozen."""

from __future__ import annotations

from collections.abc import Callable

from engine.graph.channels.rules.attention import attention, rotary
from engine.graph.channels.rules.convolution import conv, conv_transpose
from engine.graph.channels.rules.elementwise import elementwise, first_only
from engine.graph.channels.rules.layout import expand, flatten, reshape, squeeze, transpose, unsqueeze
from engine.graph.channels.rules.linear import einsum, gemm, matmul
from engine.graph.channels.rules.lookup import along_one_axis, gather_nd, scatter_nd
from engine.graph.channels.rules.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    lp_norm,
    mean_variance_norm,
    p_relu,
    quantize,
    softmax,
)
from engine.graph.channels.rules.numbers import made_of_numbers, one_hot, shape, size, triangle
from engine.graph.channels.rules.pieces import concat, cut_out, divide, gather, pad, tile
from engine.graph.channels.rules.pooling import (
    depth_to_space,
    global_pool,
    pool,
    regions,
    resize,
    sample,
    space_to_depth,
)
from engine.graph.channels.rules.reduction import arg_extreme, cumulative, reduce_other, reduce_sum, top_k
from engine.graph.channels.rules.site import Site

Rule = Callable[[Site], None]

_ELEMENTWISE = (
    "Abs", "Acos", "Acosh", "Add", "And", "Asin", "Asinh", "Atan", "Atanh", "BitShift", "BitwiseAnd", "BitwiseNot",
    "BitwiseOr", "BitwiseXor", "Ceil", "Celu", "Cos", "Cosh", "Div", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu",
    "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish", "IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual",
    "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Relu", "Round",
    "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan",
    "Tanh", "ThresholdedRelu", "Where", "Xor",
)  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, elementwise),
    **dict.fromkeys(["Cast", "CastLike", "Clip", "Dropout", "Identity"], first_only),
    **dict.fromkeys(["AveragePool", "LpPool", "MaxPool"], pool),
    **dict.fromkeys(["GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool"], global_pool),
    **dict.fromkeys(["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSum", "ReduceSumSquare"], reduce_sum),
    **dict.fromkeys(["ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"], reduce_other),
    **dict.fromkeys(["ArgMax", "ArgMin"], arg_extreme),
    **dict.fromkeys(["Hardmax", "LogSoftmax", "Softmax"], softmax),
    **dict.fromkeys(["DequantizeLinear", "QuantizeLinear"], quantize),
    **dict.fromkeys(["LayerNormalization", "RMSNormalization"], layer_norm),
    **dict.fromkeys(["GatherElements", "ScatterElements"], along_one_axis),
    **dict.fromkeys(["ConstantOfShape", "EyeLike", "NonZero", "Range"], made_of_numbers),
    "Attention": attention,
    "BatchNormalization": batch_norm,
    "Concat": concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "CumSum": cumulative,
    "DepthToSpace": depth_to_space,
    "Einsum": einsum,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherND": gather_nd,
    "Gemm": gemm,
    "GridSample": sample,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LRN": local_response_norm,
    "LpNormalization": lp_norm,
    "MatMul": matmul,
    "MeanVarianceNormalization": mean_variance_norm,
    "OneHot": one_hot,
    "PRelu": p_relu,
    "Pad": pad,
    "Reshape": reshape,
    "Resize": resize,
    "RoiAlign": regions,
    "RotaryEmbedding": rotary,
    "ScatterND": scatter_nd,
    "Shape": shape,
    "Size": size,
    "Slice": cut_out,
    "SpaceToDepth": space_to_depth,
    "Split": divide,
    "Squeeze": squeeze,
    "Tile": tile,
    "TopK": top_k,
    "Transpose": transpose,
    "Trilu": triangle,
    "Unsqueeze": unsqueeze,
}
