"""What an ONNX file tells about its values, and a node with what is known of the values that it reads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import onnx
from onnx import numpy_helper

from engine.errors import ModelUnreadable
from engine.formats.checks.bodies import names_made, names_read
from engine.formats.checks.nodes import fault

Sizes = tuple[int | None, ...]

LONGEST_VECTOR = 64
"""Numbers of a stored tensor that are looked at, as those that say how a shape becomes another."""

_NUMBERS = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT32, onnx.TensorProto.INT64}


class Known:
    """What the file tells about the values of one graph: element types, sizes, the numbers of short stored tensors.

    Of a body, `around` is what is known of the values outside that it reads.
    """

    _types: dict[str, onnx.TypeProto.Tensor]

    def __init__(
        self,
        proto: onnx.ModelProto,
        graph: onnx.GraphProto,
        nodes: Sequence[onnx.NodeProto],
        around: Known | None = None,
    ) -> None:
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._stored.update({node.output[0]: node.attribute[0].t for node in graph.node if _is_stored(node)})
        captured = set[str]()
        if around is not None:
            captured = set[str]().union(*map(names_read, graph.node)) - names_made(graph)
            self._stored.update({name: around._stored[name] for name in captured & around._stored.keys()})
        inputs = [value for value in graph.input if value.type.HasField("tensor_type") or around is None]
        inputs += [around.told(name) for name in sorted(captured & around._types.keys())] if around is not None else []
        inferred = self._inferred(proto, inputs, nodes)
        told = (*inferred.input, *inferred.output, *inferred.value_info)
        self._types = {value.name: value.type.tensor_type for value in told if value.type.HasField("tensor_type")}

    def told(self, name: str) -> onnx.ValueInfoProto:
        """Return what is known of a value as a file tells it."""
        return onnx.ValueInfoProto(name=name, type=onnx.TypeProto(tensor_type=self._types[name]))

    def type_of(self, name: str) -> str | None:
        """Return the element type as the standard spells it: "tensor(float)"."""
        number = self._types[name].elem_type if name in self._types else 0
        return f"tensor({onnx.TensorProto.DataType.Name(number).lower()})" if number else None

    def sizes(self, name: str) -> Sizes | None:
        """Return the sizes, None for those that are open; None where not even their number is known."""
        found = self._types.get(name)
        if found is None or not found.HasField("shape"):
            return None
        return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in found.shape.dim)

    def numbers(self, name: str) -> list[float] | None:
        """Return the numbers of a short stored tensor."""
        tensor = self._stored.get(name)
        if tensor is None or not _is_short(tensor):
            return None
        return [float(number) for number in numpy_helper.to_array(tensor).flatten()]

    def _inferred(
        self, proto: onnx.ModelProto, inputs: Iterable[onnx.ValueInfoProto], nodes: Iterable[onnx.NodeProto]
    ) -> onnx.GraphProto:
        """Follow sizes and types from the inputs, on a graph without the weights' contents."""
        bare = onnx.ModelProto(ir_version=max(proto.ir_version, 4), opset_import=proto.opset_import)
        bare.graph.name = "bare"
        bare.graph.node.extend(node for node in nodes if not _is_stored(node))
        bare.graph.input.extend(value for value in inputs if value.name not in self._stored)
        for name, tensor in self._stored.items():
            bare.graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
            if _is_short(tensor):
                bare.graph.initializer.append(tensor)
                bare.graph.initializer[-1].name = name
        try:
            return onnx.shape_inference.infer_shapes(bare).graph
        except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
            first_line = (str(error).strip().splitlines() or ["no reason"])[0][:300]
            raise ModelUnreadable(f"The graph's sizes cannot be followed: {first_line}. Export it again.") from error


class Read:
    """One node and what is known of the values that it reads."""

    def __init__(self, node: onnx.NodeProto, known: Known) -> None:
        self.node = node
        self._known = known

    def sizes(self, index: int) -> Sizes | None:
        return self._known.sizes(self.node.input[index]) if self.has(index) else None

    def numbers(self, index: int) -> list[float] | None:
        return self._known.numbers(self.node.input[index]) if self.has(index) else None

    def has(self, index: int) -> bool:
        return len(self.node.input) > index and bool(self.node.input[index])

    def integer(self, name: str, default: int) -> int:
        return next((int(found.i) for found in self.node.attribute if found.name == name), default)

    def integers(self, name: str) -> list[int] | None:
        return next((list(found.ints) for found in self.node.attribute if found.name == name), None)

    def require(self, index: int, wanted: Sizes) -> None:
        """Hold an input's sizes against what they have to be; what is open on either side fits."""
        sizes = self.sizes(index)
        if sizes is not None and not agree(sizes, wanted):
            name = self.node.input[index]
            raise fault(self.node, f"wants its input '{name}' of {as_text(wanted)}, not {as_text(sizes)}")

    def require_that(self, holds: bool, what: str) -> None:
        if not holds:
            raise fault(self.node, what)


def agree(first: Sizes, second: Sizes) -> bool:
    return len(first) == len(second) and all(
        a is None or b is None or a == b for a, b in zip(first, second, strict=True)
    )


def as_text(sizes: Sizes) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in sizes) + "]"


def _is_stored(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and bool(node.attribute) and node.attribute[0].HasField("t")


def _is_short(tensor: onnx.TensorProto) -> bool:
    return math.prod(tensor.dims) <= LONGEST_VECTOR and tensor.data_type in _NUMBERS
