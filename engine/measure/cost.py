"""Parameters, multiply-accumulates and bytes of a network, from its graph alone. Runs nothing and never loads torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass
from onnxscript.optimizer import fold_constants

from engine.graph.model import Model
from engine.report import Cost

Shape = tuple[int, ...]

# These only move, name, reshape or compare: leaving them out loses no multiplication.
FREE = frozenset(
    {"Cast", "CastLike", "Concat", "Constant", "ConstantOfShape", "DepthToSpace", "Dropout", "Equal", "Expand"}
    | {"Flatten", "Gather", "GatherElements", "GatherND", "Identity", "MaxPool", "NonZero", "Pad", "Range", "Reshape"}
    | {"ScatterElements", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile"}
    | {"Transpose", "Unsqueeze", "Where"}
)


def cost(model: Model, image_shapes: Mapping[str, Sequence[int]] | None = None) -> Cost:
    """Count at batch 1; `image_shapes` gives sizes, without the batch, that the network leaves open.

    One multiply-accumulate is one multiplication and one addition of Conv, ConvTranspose, Gemm or MatMul, taps that
    fall on padding included; a bias is not counted. `uncounted` names every other operator that calculates,
    element-wise ones and pooling too, and a counted one whose shapes could not be told. Parameters are the elements of
    floating-point tensors of at least one dimension, running statistics included.
    """
    resolved = _with_shapes(model, image_shapes or {})
    macs, uncounted = 0, set()
    for node in resolved.graph:
        found = _macs_of(node)
        if found is None:
            uncounted.add(f"{node.op_type} (shape unknown)" if _is_counted(node) else _full_name(node))
        else:
            macs += found
    return Cost(
        parameters=_parameters(model),
        macs=macs // _fixed_batch(model),
        size_bytes=len(model.to_bytes()),
        uncounted=tuple(sorted(uncounted)),
    )


def _fixed_batch(model: Model) -> int:
    """Return the batch that the network insists on, 1 where it leaves it open."""
    shape = model.inputs[0].shape if model.inputs else ()
    return shape[0] if shape and isinstance(shape[0], int) and shape[0] > 0 else 1


def _with_shapes(model: Model, image_shapes: Mapping[str, Sequence[int]]) -> Model:
    """Return a copy of known batch with every shape inferred anew, as far as it can be."""
    copy = model.copy()
    for value in copy.graph.inputs:
        if value.shape is not None and len(value.shape) and not value.is_initializer():
            batch = value.shape[0] if isinstance(value.shape[0], int) else 1
            value.shape = ir.Shape([batch, *image_shapes.get(str(value.name), tuple(value.shape)[1:])])
    for node in copy.graph:
        for output in node.outputs:
            output.shape = None  # what the exporter wrote may speak of another batch
    ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(copy.ir)
    if any(_is_counted(node) and _macs_of(node) is None for node in copy.graph):
        fold_constants(copy.ir, onnx_shape_inference=True)  # some exporters spell shapes out as arithmetic
    return copy


def _macs_of(node: ir.Node) -> int | None:
    """Return the node's multiply-accumulates; None where they are not counted."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in FREE:
        return 0
    rule = RULES.get(node.op_type)
    shapes = [_known_shape(value) for value in (*node.inputs[:2], *node.outputs[:1])]
    if rule is None or any(shape is None for shape in shapes):
        return None
    left, right, out = (shape for shape in shapes if shape is not None)
    return rule(node, left, right, out)


def _is_counted(node: ir.Node) -> bool:
    return node.domain in ("", "ai.onnx") and node.op_type in RULES


def _full_name(node: ir.Node) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _known_shape(value: ir.Value | None) -> Shape | None:
    if value is None or value.shape is None:
        return None
    sizes = tuple(size for size in value.shape if isinstance(size, int))
    return sizes if len(sizes) == len(value.shape) else None


def _conv(node: ir.Node, inputs: Shape, weight: Shape, out: Shape) -> int:
    return math.prod(out) * math.prod(weight[1:])  # weight is (out, in / groups, *kernel)


def _conv_transpose(node: ir.Node, inputs: Shape, weight: Shape, out: Shape) -> int:
    return math.prod(inputs) * math.prod(weight[1:])  # weight is (in, out / groups, *kernel)


def _gemm(node: ir.Node, left: Shape, right: Shape, out: Shape) -> int:
    transposed = node.attributes.get_int("transA", 0)
    return math.prod(out) * left[0 if transposed else 1]


def _matmul(node: ir.Node, left: Shape, right: Shape, out: Shape) -> int:
    return math.prod(out) * left[-1]


RULES: dict[str, Callable[[ir.Node, Shape, Shape, Shape], int]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}


def _parameters(model: Model) -> int:
    tensors = [value.const_value for value in model.graph.initializers.values()]
    tensors += [node.attributes["value"].as_tensor() for node in model.graph if _is_constant_tensor(node)]
    return sum(
        int(math.prod(tensor.shape.numpy()))
        for tensor in tensors
        if tensor is not None and tensor.dtype.is_floating_point() and len(tensor.shape)
    )


def _is_constant_tensor(node: ir.Node) -> bool:
    return node.op_type == "Constant" and "value" in node.attributes
