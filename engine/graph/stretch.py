"""A stretch of a graph: from values that are known already to values that are asked for, and no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import onnx
import onnx_ir as ir

from engine.graph.bodies import reads
from engine.graph.model import Model


def stretch(model: Model, known: Collection[str], asked: Sequence[str]) -> Model:
    """Return a model that takes those of the known values that it needs, and gives the values asked for, none known.

    Only what lies between is copied, and constants are shared, so a short stretch of a long network costs little.
    """
    values = model.values()
    inputs, between = _between([values[name] for name in asked], known)
    nodes = [node for node in model.graph if node in between]
    constants = {str(v.name): v for node in nodes for v in reads(node) if v is not None and v.is_initializer()}
    graph = onnx.helper.make_graph(
        [ir.to_proto(node) for node in nodes],
        "stretch",
        [ir.to_proto(value) for value in [*inputs, *constants.values()]],
        [ir.to_proto(values[name]) for name in asked],
    )
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in model.graph.opset_imports.items()]
    functions = [ir.to_proto(function) for function in model.ir.functions.values()]
    proto = onnx.helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=model.ir.ir_version)
    part = ir.from_proto(proto)
    for value in list(part.graph.inputs)[len(inputs) :]:
        value.const_value = constants[str(value.name)].const_value
        part.graph.inputs.remove(value)
        part.graph.register_initializer(value)
    return Model(part)


def _between(asked: Iterable[ir.Value], known: Collection[str]) -> tuple[list[ir.Value], set[ir.Node]]:
    """Walk back from what is asked for; return the known values and graph inputs that stop it, and the nodes passed."""
    inputs: dict[str, ir.Value] = {}
    passed: set[ir.Node] = set()
    waiting = list(asked)
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if value.name in known or (node is None and not value.is_initializer()):
            inputs[str(value.name)] = value
        elif node is not None and node not in passed:
            passed.add(node)
            waiting += [read for read in reads(node) if read is not None]
    return [inputs[name] for name in sorted(inputs)], passed


def live_values(model: Model, place: int) -> list[str]:
    """Return the names of the tensors that the nodes from `place` on, by the graph's order, read from those before.

    A value that is no tensor, or of no known type, is left out: it cannot be fed, and has to be made again.
    """
    late = {node for at, node in enumerate(model.graph) if at >= place}
    read = [value for node in late for value in reads(node)] + list(model.graph.outputs)
    early = [v for v in read if v is not None and not v.is_initializer() and v.producer() not in late]
    return sorted({str(value.name) for value in early if isinstance(value.type, ir.TensorType)})


def first_difference(model: Model, changed: Model) -> int:
    """Return the place in `model` of the first node that `changed` lacks, or has with other inputs or weights."""
    theirs = changed.nodes()
    for place, (name, node) in enumerate(model.nodes().items()):
        if name not in theirs or _read_by(node) != _read_by(theirs[name]):
            return place
    return len(model.nodes())


def _read_by(node: ir.Node) -> list[tuple[str | None, int]]:
    """Return the names of what a node reads, and which tensor each is: copies of a model share theirs."""
    return [(value.name, id(value.const_value)) for value in reads(node) if value is not None]
