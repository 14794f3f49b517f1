"""What follows about each value of a graph in one walk: element type, shape, and for small tensors what is in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from engine.graph.bodies import bodies
from engine.graph.shapes.contents import contents_of, holds_a_graph, is_open, of_sizes
from engine.graph.shapes.rules import SHAPES, Known, Shape, Unknown
from engine.graph.shapes.sizes import Open, Size, axis

FOLDED_BYTES = 1 << 23
"""What is worked out of constants is kept up to this size; beyond it, where it takes the place of as much."""

_LONGEST_OPEN = 1 << 12
"""Elements of a tensor with open sizes among them: each is an object."""

_LONGEST_GIVEN = 1 << 10
"""Elements of a constant that ONNX's own inference is shown."""

_GROWING = {"ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile", "Upsample", "OneHot"}
"""Operators whose result may be far larger than what they read: worked out only where the size is known beforehand."""

_SHARED_SIZE = 1 << 13
"""Elements of a constant from which on it is not worked into another one while anything else reads it as well."""

_TRUTHS = {"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"}
Array = NDArray[Any]


class Inference:
    """Facts about the values of one graph; `visit` its nodes in order, then ask. Changes nothing in the graph.

    A size that nothing is known about gets a name of its own, so that it still equals itself further on. Shapes that
    the file states are believed only of what cannot be worked out: of unknown operators and of branches and loops.
    """

    def __init__(self, model: ir.Model) -> None:
        self._opsets = model.opset_imports
        self._shapes: dict[ir.Value, Known] = {}
        self._contents: dict[ir.Value, Array] = {}
        self._types: dict[ir.Value, ir.DataType] = {}
        self._open: dict[str, Size] = {}
        self._made: set[ir.Value] = set()
        for value in model.graph.inputs:
            self._believe(value)

    def shape(self, value: ir.Value | None) -> Known | None:
        if value is not None and value.const_value is not None:
            return tuple(value.const_value.shape.numpy())
        return None if value is None else self._shapes.get(value)

    def dtype(self, value: ir.Value | None) -> ir.DataType | None:
        if value is not None and value.const_value is not None:
            return value.const_value.dtype
        return None if value is None else self._types.get(value)

    def contents(self, value: ir.Value | None) -> Array | None:
        """Return what a value holds, whatever the input: numbers, or objects where open sizes are among them."""
        if (
            value is not None
            and value.is_initializer()
            and not value.is_graph_input()
            and value.const_value is not None
        ):
            return None if value.const_value.dtype == ir.DataType.STRING else value.const_value.numpy()
        return None if value is None else self._contents.get(value)

    def visit(self, node: ir.Node) -> None:
        """Work out what this node makes; what it reads has been visited."""
        if node.op_type == "Constant" and node.domain == "":
            self._constant(node)
            return
        for body in bodies(node):
            self._visit_body(body)
        for value, shape, dtype in zip(node.outputs, *self._outputs_of(node), strict=True):
            if dtype is not None:
                self._types[value] = dtype
            if shape is None:
                self._believe(value)
            else:
                self._shapes[value] = self._named(value, shape)
        self._work_out(node)

    def hold(self, value: ir.Value, array: Array) -> None:
        """Note what a value holds."""
        self._contents[value] = array
        self._shapes[value] = tuple(array.shape)

    def note_made(self, constant: ir.Value) -> None:
        """Note a constant that was worked out of others, and so is nobody's weight."""
        self._made.add(constant)

    def _constant(self, node: ir.Node) -> None:
        tensor = constant_of(node)
        if tensor is not None:
            self.hold(node.outputs[0], tensor.numpy())
            self._types[node.outputs[0]] = tensor.dtype

    def _visit_body(self, body: ir.Graph) -> None:
        for value in body.inputs:
            self._believe(value)
        for node in body:
            self.visit(node)

    def _of_branches(self, node: ir.Node) -> tuple[Sequence[Shape | None], Sequence[ir.DataType | None]]:
        """Return what both branches of an If give alike."""
        then, otherwise = (body.outputs for body in bodies(node))
        shapes = [
            self.shape(a) if self.shape(a) == self.shape(b) else None for a, b in zip(then, otherwise, strict=True)
        ]
        return shapes, [self.dtype(value) for value in then]

    def _outputs_of(self, node: ir.Node) -> tuple[Sequence[Shape | None], Sequence[ir.DataType | None]]:
        if node.op_type == "If" and not node.domain:
            return self._of_branches(node)
        shapes = [self.shape(value) for value in node.inputs if value is not None]
        rule = SHAPES.get(node.op_type) if node.domain == "" else None
        if rule is not None and not any(shape is None for shape in shapes):
            try:
                contents = [self._small_contents(value) for value in node.inputs]
                found = rule(node, [shape for shape in shapes if shape is not None], contents)
            except (Unknown, ArithmeticError, LookupError, TypeError, ValueError):
                pass  # ONNX's own inference may know more; what is malformed, the runtime refuses
            else:
                return found, self._types_of(node)
        return self._by_onnx(node)

    def _small_contents(self, value: ir.Value | None) -> Array | None:
        shape = self.shape(value)
        elements = None if shape is None else math.prod(shape)
        return self.contents(value) if isinstance(elements, int) and elements <= _LONGEST_OPEN else None

    def _types_of(self, node: ir.Node) -> list[ir.DataType | None]:
        first = self.dtype(node.inputs[0]) if node.inputs else None
        match node.op_type:
            case "Cast":
                first = ir.DataType(node.attributes["to"].as_int())
            case "Shape" | "Size":
                first = ir.DataType.INT64
            case "Where":
                first = self.dtype(node.inputs[1])
            case "ConstantOfShape":
                first = node.attributes["value"].as_tensor().dtype if "value" in node.attributes else ir.DataType.FLOAT
            case kind if kind in _TRUTHS:
                first = ir.DataType.BOOL
        others = {"MaxPool": ir.DataType.INT64, "Dropout": ir.DataType.BOOL}.get(node.op_type, first)
        return [first, *[others] * (len(node.outputs) - 1)]

    def _by_onnx(self, node: ir.Node) -> tuple[Sequence[Shape | None], Sequence[ir.DataType | None]]:
        """Ask ONNX's own inference about one node."""
        nothing = [None] * len(node.outputs)
        read = [value for value in node.inputs if value is not None]
        types = {str(value.name): kind for value in read if (kind := self._type_proto(value)) is not None}
        if any(str(value.name) not in types for value in read) or holds_a_graph(node):
            return nothing, nothing
        data = {str(value.name): tensor for value in read if (tensor := self._shown(value)) is not None}
        try:
            schema = onnx.defs.get_schema(node.op_type, self._opsets[node.domain], node.domain)
            found = onnx.shape_inference.infer_node_outputs(schema, ir.serde.serialize_node(node), types, data)
        except Exception:  # inference of a malformed node raises whatever protobuf thinks of
            return nothing, nothing
        protos = [found.get(str(value.name)) for value in node.outputs]
        return [self._read_shape(proto) for proto in protos], [_read_type(proto) for proto in protos]

    def _type_proto(self, value: ir.Value) -> onnx.TypeProto | None:
        shape, dtype = self.shape(value), self.dtype(value)
        if dtype is None:
            return None
        sizes = None if shape is None else [size if isinstance(size, int) else self._write(size) for size in shape]
        return onnx.helper.make_tensor_type_proto(int(dtype), sizes)

    def _shown(self, value: ir.Value) -> onnx.TensorProto | None:
        array = self._small_contents(value)
        if array is None or is_open(array) or array.size > _LONGEST_GIVEN:
            return None
        return onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), str(value.name))

    def _write(self, size: Open) -> str:
        self._open[str(size)] = size
        return str(size)

    def _read_shape(self, proto: onnx.TypeProto | None) -> Shape | None:
        if proto is None or not proto.tensor_type.HasField("shape"):
            return None
        return tuple(
            dim.dim_value if dim.HasField("dim_value") else self._read(dim.dim_param)
            for dim in proto.tensor_type.shape.dim
        )

    def _read(self, text: str | None) -> Size | None:
        return self._open.setdefault(text, axis(text)) if text else None

    def _believe(self, value: ir.Value) -> None:
        """Take the shape and type that the file states."""
        if value.dtype is not None:
            self._types.setdefault(value, value.dtype)
        if value.shape is not None:
            stated = [size if isinstance(size, int) else self._read(size.value) for size in value.shape]
            self._shapes[value] = self._named(value, stated)

    def _named(self, value: ir.Value, shape: Sequence[Size | None]) -> Known:
        return tuple(self._new_axis(value, place) if size is None else size for place, size in enumerate(shape))

    def _new_axis(self, value: ir.Value, place: int) -> Open:
        name = f"{value.name}_{place}"
        while name in self._open:
            name += "_"
        self._open[name] = axis(name)
        return axis(name)

    def _work_out(self, node: ir.Node) -> None:
        """Note what the outputs hold where that follows from shapes and constants alone."""
        if node.op_type in ("Shape", "Size") and node.domain == "":
            self._note_shape(node)
            return
        if not node.inputs or any(value is not None and not self._holds(value) for value in node.inputs):
            return
        if not all(self._may_hold(node, value) for value in node.outputs):
            return
        found = contents_of(node, [self.contents(value) for value in node.inputs], self._opsets.get("", 1))
        if found is None or len(found) != len(node.outputs):
            return
        for value, array in zip(node.outputs, found, strict=True):
            if array.size <= _LONGEST_OPEN or not is_open(array):
                self.hold(value, array if is_open(array) else self._as_declared(value, array))

    def _as_declared(self, value: ir.Value, array: Array) -> Array:
        """Return numbers in the type that the operator makes: open sizes that became numbers come as int64."""
        dtype = self.dtype(value)
        if dtype is None:
            self._types[value] = ir.DataType.from_numpy(array.dtype)
            return array
        return array if array.dtype == dtype.numpy() else array.astype(dtype.numpy())

    def _note_shape(self, node: ir.Node) -> None:
        shape = self.shape(node.inputs[0])
        if shape is None:
            return
        if node.op_type == "Size":
            self.hold(node.outputs[0], of_sizes([math.prod(shape)]).reshape(()))
            return
        start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", None)
        self.hold(node.outputs[0], of_sizes(shape[start:end]))

    def _holds(self, value: ir.Value) -> bool:
        if value in self._contents:
            return True
        return value.is_initializer() and not value.is_graph_input() and value.const_value is not None

    def _may_hold(self, node: ir.Node, value: ir.Value) -> bool:
        """Keep tiny files from being worked into huge tensors, and shared weights from being worked into two."""
        shape, dtype = self._shapes.get(value), self._types.get(value)
        if shape is None or dtype is None:
            return node.op_type not in _GROWING
        elements = math.prod(shape)
        if not isinstance(elements, int):
            return False
        size_bytes = int(elements * dtype.itemsize)
        read = [value for value in {*node.inputs} if value is not None and value.const_value is not None]
        if size_bytes <= FOLDED_BYTES:
            return all(value in self._made or _is_small(value) or len(value.uses()) == 1 for value in read)
        vanishing = [value for value in read if len(value.uses()) == 1 and value.const_value is not None]
        read_bytes = sum(value.const_value.nbytes for value in vanishing if value.const_value is not None)
        return size_bytes <= read_bytes and all(value in vanishing or _is_small(value) for value in read)


def _is_small(value: ir.Value) -> bool:
    return value.const_value is not None and value.const_value.size <= _SHARED_SIZE


def constant_of(node: ir.Node) -> ir.TensorProtocol | None:
    """Return the tensor of a Constant node; None for one of strings, and for a sparse one."""
    if "value" in node.attributes:  # onnx_ir's own reading of it takes a millisecond
        tensor: ir.TensorProtocol | None = node.attributes["value"].as_tensor()
    else:
        tensor = ir.convenience.get_const_tensor(node.outputs[0])
    return None if tensor is None or tensor.dtype == ir.DataType.STRING else tensor


def _read_type(proto: onnx.TypeProto | None) -> ir.DataType | None:
    if proto is None or not proto.tensor_type.elem_type:
        return None
    return ir.DataType(proto.tensor_type.elem_type)
