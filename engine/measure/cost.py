"""Parameters, multiply-accumulates and bytes of a network, from its graph alone. Runs nothing and never loads torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass
from onnxscript.optimizer import fold_constants

from engine.graph.bodies import bodies, every_node
from engine.graph.model import Model
from engine.measure.macs import is_counted, macs_of
from engine.report import Cost


@dataclass(frozen=True)
class Count:
    """What running a network takes, for one image; `uncounted` names what calculates and was not counted."""

    parameters: int
    macs: int
    uncounted: tuple[str, ...]


def cost(model: Model, image_shapes: Mapping[str, Sequence[int]] | None = None) -> Cost:
    """Count, and weigh the file that the network would be: that takes as long as writing it."""
    found = count(model, image_shapes)
    return Cost(
        parameters=found.parameters, macs=found.macs, size_bytes=len(model.to_bytes()), uncounted=found.uncounted
    )


def count(model: Model, image_shapes: Mapping[str, Sequence[int]] | None = None) -> Count:
    """Count at batch 1; `image_shapes` gives sizes, without the batch, that the network leaves open.

    One multiply-accumulate is one multiplication and one addition of an operator that has a rule in
    `engine.measure.macs`, taps that fall on padding included; a bias is not counted. `uncounted` names every other
    operator that calculates, element-wise ones and pooling too, and a counted one whose shapes could not be told. What
    a branch or a loop holds is named and not counted: how often that runs is known at each run alone.
    Parameters are the elements of floating-point tensors of at least one dimension, running statistics included.
    """
    resolved = _with_shapes(model, image_shapes or {})
    macs, uncounted = 0, set()
    for node in resolved.graph:
        found = macs_of(node)
        if found is None:
            uncounted.add(f"{node.op_type} (shape unknown)" if is_counted(node) else _full_name(node))
        else:
            macs += found
        uncounted.update(
            f"{_full_name(inner)} in {node.op_type}" for inner in every_node([node]) if _calculates(inner, node)
        )
    return Count(_parameters(model), macs // _fixed_batch(model), tuple(sorted(uncounted)))


def macs_by_node(model: Model) -> dict[str, int | None]:
    """Return what each node takes for one image, None where its shapes could not be told; uncounted ones take 0."""
    resolved, batch = _with_shapes(model, {}), _fixed_batch(model)
    found = {str(node.name): macs_of(node) for node in resolved.graph}
    counted = {str(node.name) for node in resolved.graph if is_counted(node)}
    return {name: None if macs is None and name in counted else (macs or 0) // batch for name, macs in found.items()}


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
    if any(is_counted(node) and macs_of(node) is None for node in copy.graph):
        fold_constants(copy.ir, onnx_shape_inference=True)  # some exporters spell shapes out as arithmetic
    return copy


def _calculates(inner: ir.Node, holder: ir.Node) -> bool:
    return inner is not holder and not bodies(inner) and macs_of(inner) != 0


def _full_name(node: ir.Node) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _parameters(model: Model) -> int:
    nodes = list(every_node(model.graph))
    graphs = [model.graph, *(body for node in nodes for body in bodies(node))]
    tensors = [value.const_value for graph in graphs for value in graph.initializers.values()]
    tensors += [node.attributes["value"].as_tensor() for node in nodes if _is_constant_tensor(node)]
    return sum(
        int(math.prod(tensor.shape.numpy()))
        for tensor in tensors
        if tensor is not None and tensor.dtype.is_floating_point() and len(tensor.shape)
    )


def _is_constant_tensor(node: ir.Node) -> bool:
    return node.op_type == "Constant" and "value" in node.attributes
