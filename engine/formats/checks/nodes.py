"""Whether each node of an ONNX graph is one that the standard knows, with attributes that make sense by themselves."""

from __future__ import annotations

import math

import onnx
from onnx import AttributeProto, checker

from engine.errors import ModelUnreadable, OperatorUnsupported
from engine.formats.checks.bodies import every_graph

DOMAINS = {"", "ai.onnx"}

_AT_LEAST_ONE = {
    *("kernel_shape", "strides", "dilations", "group", "blocksize"),
    *("num_groups", "num_heads", "q_num_heads", "kv_num_heads", "num_outputs"),
}
_NOT_NEGATIVE = {"pads", "output_padding"}
_MAY_CUT = {"Pad"}
"""Operators to which negative pads are given on purpose."""

_LARGEST = 1 << 31
_NO_CODE = (AttributeProto.GRAPHS, AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS)


def check_nodes(graph: onnx.GraphProto, opset: int) -> None:
    """Raise ModelUnreadable or OperatorUnsupported, naming the node, unless each stands by itself."""
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = onnx.IR_VERSION, {"": opset}
    for node in (node for inner in every_graph(graph) for node in inner.node):
        _check_operator(node, opset)
        for attribute in node.attribute:
            _check_attribute(node, attribute)
        try:
            checker.check_node(_alone(node), context)
        except (checker.ValidationError, ValueError) as error:
            first_line = str(error).strip().splitlines()[0][:500]
            raise fault(node, f"breaks the ONNX standard: {first_line}") from error


def fault(node: onnx.NodeProto, what: str) -> ModelUnreadable:
    """Return the error that names a node; `what` goes on after its name."""
    where = node.name or (node.output[0] if node.output else "") or node.op_type
    return ModelUnreadable(f"Node '{where}' ({node.op_type}) {what}. Export it again.", where=where)


def _check_operator(node: onnx.NodeProto, opset: int) -> None:
    full_name = f"{node.domain or 'ai.onnx'}.{node.op_type}"
    if node.domain not in DOMAINS:
        raise OperatorUnsupported(
            f"Node '{node.name}': the operator {full_name} is not of the domain ai.onnx. Export without custom or "
            "runtime-optimised operators.",
            where=node.name or node.op_type,
        )
    if not onnx.defs.has(node.op_type, max_inclusive_version=opset):
        raise OperatorUnsupported(
            f"Node '{node.name}': opset {opset} has no operator {full_name}. Export with the opset that it came with.",
            where=node.name or node.op_type,
        )


def _check_attribute(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> None:
    if attribute.ref_attr_name:
        raise fault(node, f"refers to '{attribute.ref_attr_name}' of a function that it is not in")
    if attribute.type in _NO_CODE:
        raise OperatorUnsupported(
            f"Node '{node.name}': {node.op_type} has '{attribute.name}', a list of graphs or a sparse tensor, which is "
            "not run. Export it with dense tensors alone.",
            where=node.name or node.op_type,
        )
    if any(math.isnan(number) for number in (attribute.f, *attribute.floats)):
        raise fault(node, f"has no number in '{attribute.name}'")
    numbers = [attribute.i] if attribute.type == AttributeProto.INT else attribute.ints
    for number in numbers:
        _check_size(node, attribute.name, number)
    if attribute.name == "perm" and sorted(attribute.ints) != list(range(len(attribute.ints))):
        raise fault(node, f"has a 'perm' that is no permutation: {list(attribute.ints)[:10]}")


def _check_size(node: onnx.NodeProto, name: str, number: int) -> None:
    if name not in _AT_LEAST_ONE | _NOT_NEGATIVE or node.op_type in _MAY_CUT:
        return
    least = 1 if name in _AT_LEAST_ONE else 0
    if not least <= number <= _LARGEST:
        raise fault(node, f"has {number} in '{name}', where {least} to {_LARGEST} makes sense")


def _alone(node: onnx.NodeProto) -> onnx.NodeProto:
    """Return the node as the checker takes it: by one of the two names of its domain, and with empty bodies.

    What bodies read from around them it would miss; their nodes are checked one by one.
    """
    if not node.domain and not any(attribute.type == AttributeProto.GRAPH for attribute in node.attribute):
        return node
    alone = onnx.NodeProto()
    alone.CopyFrom(node)
    alone.domain = ""
    for attribute in alone.attribute:
        if attribute.type == AttributeProto.GRAPH:
            attribute.g.CopyFrom(onnx.GraphProto(name="body"))
    return alone
