"""Whether an ONNX graph holds together: every name made once and before use, every node one that the standard knows."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx

from engine.errors import ModelUnreadable, ModelUnsafe, OperatorUnsupported
from engine.formats.checks.bodies import bodies, every_graph, names_made
from engine.formats.checks.fits import check_fits
from engine.formats.checks.nodes import DOMAINS, check_nodes, fault
from engine.formats.checks.stale import forget_stale
from engine.formats.checks.tensors import MOST_ELEMENTS, check_tensors

NEWEST_IR_VERSION = int(onnx.IR_VERSION)


def check_soundness(proto: onnx.ModelProto) -> None:
    """Raise ModelUnreadable, ModelUnsafe or OperatorUnsupported, naming the node or tensor, unless all is well."""
    opset = _opset(proto)
    check_nodes(proto.graph, opset)
    check_tensors(proto.graph)
    _check_inputs(proto.graph)
    _check_names(proto.graph, frozenset())
    forget_stale(proto.graph, check_fits(proto, opset))


def _opset(proto: onnx.ModelProto) -> int:
    versions = [entry.version for entry in proto.opset_import if entry.domain in DOMAINS]
    if not proto.graph.node or not versions:
        raise ModelUnreadable(
            "This is not an ONNX model: it has no nodes, or names no opset of the domain ai.onnx. "
            "Export it to ONNX first."
        )
    if len(set(versions)) > 1:
        raise ModelUnreadable(f"The model names its opset twice, as {versions}. Export it again with one.")
    newest = onnx.defs.onnx_opset_version()
    if not 1 <= versions[0] <= newest:
        raise ModelUnreadable(
            f"The model wants opset {versions[0]}; 11 to {newest} are known. Export it with one of them."
        )
    if not 1 <= proto.ir_version <= NEWEST_IR_VERSION:
        raise ModelUnreadable(
            f"The file is of IR version {proto.ir_version}; 3 to {NEWEST_IR_VERSION} are known. Export it again."
        )
    if proto.training_info:
        raise OperatorUnsupported("The file holds a training graph beside the network. Export it for inference.")
    return int(versions[0])


def _check_inputs(graph: onnx.GraphProto) -> None:
    every_value = (value for inner in every_graph(graph) for value in (*inner.input, *inner.output, *inner.value_info))
    for value in every_value:
        kind = value.type.WhichOneof("value")
        if kind not in ("tensor_type", None):
            raise OperatorUnsupported(
                f"'{value.name}' is a {kind}, not a tensor. Export a network of tensors alone.", where=value.name
            )
    initialisers = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in initialisers:
            _check_input(value)


def _check_input(value: onnx.ValueInfoProto) -> None:
    told = value.type.tensor_type
    if told.elem_type not in onnx.TensorProto.DataType.values() or told.elem_type == onnx.TensorProto.UNDEFINED:
        raise ModelUnreadable(f"Input '{value.name}' has no known element type. Export it again.", where=value.name)
    if not told.HasField("shape"):
        raise ModelUnreadable(f"Input '{value.name}' has no shape. Export it with one.", where=value.name)
    sizes = [dim.dim_value for dim in told.shape.dim if dim.HasField("dim_value")]
    if any(size < 1 for size in sizes) or math.prod(sizes) > MOST_ELEMENTS:
        raise ModelUnsafe(f"Input '{value.name}' announces the sizes {sizes}.", where=value.name)


def _check_names(graph: onnx.GraphProto, around: frozenset[str]) -> None:
    """Every value is made once, and every name that is read is made somewhere; a body sees the names around it."""
    inputs = [value.name for value in graph.input]
    weights = [tensor.name for tensor in graph.initializer]
    made = [name for node in graph.node for name in node.output if name]
    outputs = [value.name for value in graph.output]
    for names in (inputs, weights, [*made, *(set(inputs) | set(weights))], outputs):
        twice = _first_repeated(names)
        if twice is not None:
            raise ModelUnreadable(f"The name '{twice}' is given to more than one value. Export again.", where=twice)
    own = names_made(graph)
    hidden = min(own & around, default=None)
    if hidden is not None:
        message = f"The name '{hidden}' is given inside a node to what has it outside as well"
        raise ModelUnreadable(f"{message}. Export again.", where=hidden)
    known = own | around
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                raise fault(node, f"reads '{name}', which nothing makes")
    _check_outputs(outputs, own)
    if "" in (*inputs, *weights):
        raise ModelUnreadable("An input or a weight of the graph has no name. Export again.")
    for body in (body for node in graph.node for body in bodies(node)):
        _check_names(body, frozenset(known))


def _check_outputs(outputs: list[str], own: set[str]) -> None:
    """An output is made where it is put out: that a branch hands on what it reads outside, the runtime refuses."""
    if not outputs:
        raise ModelUnreadable("The graph has no output. Export again.")
    for name in outputs:
        if name not in own:
            raise ModelUnreadable(f"Nothing makes the output '{name}'. Export again.", where=name)


def _first_repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
