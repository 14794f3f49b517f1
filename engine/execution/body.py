"""A graph inside a node: the branch of an If, the body of a Loop. Runs as a network of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import onnx
import onnx_ir as ir
import torch
from torch import Tensor

from engine.execution.tensors import TORCH_TYPES
from engine.graph.model import Model

Run = Callable[[Mapping[str, Tensor], Sequence[str]], dict[str, Tensor]]


class Body:
    """`captured` names what the graph reads from outside, which the caller gives beside its own inputs."""

    def __init__(self, graph: ir.Graph, opset: int, open_network: Callable[[Model], Run]) -> None:
        proto = ir.to_proto(graph)
        self.captured = tuple(dict.fromkeys(_read_from_outside(proto)))
        self._inputs = tuple(value.name for value in proto.input)
        self._outputs = tuple(value.name for value in proto.output)
        self._empty = [_nothing_of(value) for value in proto.output]
        self._run = open_network(_as_model(proto, self.captured, opset))

    def __call__(self, inputs: Sequence[Tensor], outside: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the outputs in order."""
        given = dict(zip(self._inputs, inputs, strict=True))
        found = self._run(given | {name: outside[name] for name in self.captured}, self._outputs)
        return tuple(found[name] for name in self._outputs)

    def stack(self, index: int, rows: Sequence[Tensor], axis: int = 0) -> Tensor:
        """Join what output `index` was in each turn along a new axis; of no turns at all, its declared shape tells."""
        return torch.stack(list(rows), axis) if rows else self._empty[index].unsqueeze(axis).narrow(axis, 0, 0)


def _read_from_outside(graph: onnx.GraphProto) -> Iterator[str]:
    """Name the values that the nodes read, inner graphs included, and nothing in the graph makes."""
    made = {value.name for value in (*graph.input, *graph.initializer)}
    made |= {name for node in graph.node for name in node.output}
    for node in graph.node:
        inner = (name for attribute in node.attribute for name in _read_from_outside(attribute.g))
        yield from (name for name in (*node.input, *inner) if name and name not in made)
    yield from (value.name for value in graph.output if value.name not in made)


def _as_model(graph: onnx.GraphProto, captured: Sequence[str], opset: int) -> Model:
    """Make the graph stand alone: what it captures becomes an input, what it holds a constant that is not trained."""
    alone = onnx.GraphProto()
    alone.CopyFrom(graph)
    del alone.initializer[:], alone.node[:]
    alone.node.extend(onnx.helper.make_node("Constant", [], [held.name], value=held) for held in graph.initializer)
    alone.node.extend(graph.node)
    alone.input.extend(onnx.ValueInfoProto(name=name) for name in captured)
    return Model(ir.from_proto(onnx.helper.make_model(alone, opset_imports=[onnx.helper.make_opsetid("", opset)])))


def _nothing_of(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim]
    return torch.empty(sizes, dtype=TORCH_TYPES.get(ir.DataType(kind.elem_type), torch.float32))
