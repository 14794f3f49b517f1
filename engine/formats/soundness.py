"""Whether an ONNX graph holds together: every name made once and before use, every tensor as long as it says."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import onnx

from engine.errors import ModelUnreadable, ModelUnsafe, OperatorUnsupported
from engine.formats.external import tensors_of

DOMAINS = {"", "ai.onnx"}
MOST_ELEMENTS = 1 << 31
"""Elements of one tensor that the file itself announces; two thousand million are 8 GiB of float32."""


def check_soundness(proto: onnx.ModelProto) -> None:
    """Raise ModelUnreadable, ModelUnsafe or OperatorUnsupported, naming the node or tensor, unless all is well."""
    opset = _opset(proto)
    _check_operators(proto.graph, opset)
    for tensor in tensors_of(proto.graph):
        _check_tensor(tensor)
    if proto.graph.sparse_initializer:
        raise OperatorUnsupported("The graph has sparse initialisers, which are not run. Export dense weights.")
    _check_inputs(proto.graph)
    _check_names(proto.graph)
    _check_schema(proto, _check_order(proto.graph))


def _opset(proto: onnx.ModelProto) -> int:
    versions = [entry.version for entry in proto.opset_import if entry.domain in DOMAINS]
    if not proto.graph.node or not versions:
        raise ModelUnreadable("This is not an ONNX model: it has no nodes or names no opset. Export it to ONNX first.")
    if len(set(versions)) > 1:
        raise ModelUnreadable(f"The model names its opset twice, as {versions}. Export it again with one.")
    newest = onnx.defs.onnx_opset_version()
    if not 1 <= versions[0] <= newest:
        raise ModelUnreadable(
            f"The model wants opset {versions[0]}; 11 to {newest} are known. Export it with one of them."
        )
    return int(versions[0])


def _check_operators(graph: onnx.GraphProto, opset: int) -> None:
    for node in graph.node:
        full_name = f"{node.domain or 'ai.onnx'}.{node.op_type}"
        if node.domain not in DOMAINS:
            raise OperatorUnsupported(
                f"Node '{node.name}': the operator {full_name} is not of the domain ai.onnx. Export without custom or "
                "runtime-optimised operators.",
                where=node.name or node.op_type,
            )
        if not onnx.defs.has(node.op_type, max_inclusive_version=opset):
            raise OperatorUnsupported(
                f"Node '{node.name}': opset {opset} has no operator {full_name}.", where=node.name or node.op_type
            )


def _check_tensor(tensor: onnx.TensorProto) -> None:
    """Compare the length that the dimensions promise with what is there."""
    if tensor.data_type not in onnx.TensorProto.DataType.values() or tensor.data_type == onnx.TensorProto.UNDEFINED:
        raise ModelUnreadable(f"Tensor '{tensor.name}' has no known element type.", where=tensor.name)
    if any(size < 0 for size in tensor.dims):
        raise ModelUnreadable(f"Tensor '{tensor.name}' has a negative size: {list(tensor.dims)}.", where=tensor.name)
    elements = math.prod(tensor.dims)
    if elements > MOST_ELEMENTS:
        raise ModelUnsafe(
            f"Tensor '{tensor.name}' announces {elements} elements: {list(tensor.dims)}.", where=tensor.name
        )
    if tensor.data_type == onnx.TensorProto.STRING:
        wanted, found = elements, len(tensor.string_data)
    elif tensor.HasField("raw_data"):
        wanted, found = math.ceil(elements * _bits(tensor) / 8), len(tensor.raw_data)
    else:
        field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
        wanted, found = _field_length(tensor, elements), len(getattr(tensor, field))
    if wanted != found:
        message = f"Tensor '{tensor.name}' of sizes {list(tensor.dims)} should hold {wanted} and holds {found}"
        raise ModelUnreadable(f"{message}. The file is damaged; export it again.", where=tensor.name)


def _bits(tensor: onnx.TensorProto) -> int:
    name = onnx.TensorProto.DataType.Name(tensor.data_type)
    if name.endswith(("INT4", "4E2M1")):
        return 4
    if name.endswith("INT2"):
        return 2
    return int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize) * 8


def _field_length(tensor: onnx.TensorProto, elements: int) -> int:
    """Return how many numbers the typed field holds: complex ones are pairs, four-bit ones share an entry."""
    if tensor.data_type in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128):
        return 2 * elements
    return math.ceil(elements * _bits(tensor) / 8) if _bits(tensor) < 8 else elements


def _check_inputs(graph: onnx.GraphProto) -> None:
    for value in (*graph.input, *graph.output):
        kind = value.type.WhichOneof("value")
        if kind not in ("tensor_type", None):
            raise OperatorUnsupported(f"'{value.name}' is a {kind}, not a tensor.", where=value.name)
    initialisers = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name in initialisers:
            continue
        if not value.type.tensor_type.HasField("shape"):
            raise ModelUnreadable(f"Input '{value.name}' has no shape. Export it with one.", where=value.name)
        sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim if dim.HasField("dim_value")]
        if any(size < 1 for size in sizes) or math.prod(sizes) > MOST_ELEMENTS:
            raise ModelUnsafe(f"Input '{value.name}' announces the sizes {sizes}.", where=value.name)


def _check_names(graph: onnx.GraphProto) -> None:
    """Every value is made once, and every name that is read is made somewhere."""
    inputs = [value.name for value in graph.input]
    weights = [tensor.name for tensor in graph.initializer]
    made = [name for node in graph.node for name in node.output if name]
    for names in (inputs, weights, [*made, *(set(inputs) | set(weights))]):
        twice = _first_repeated(names)
        if twice is not None:
            raise ModelUnreadable(f"The name '{twice}' is given to more than one value. Export again.", where=twice)
    known = {*inputs, *weights, *made}
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                message = f"Node '{node.name}' ({node.op_type}) reads '{name}', which nothing makes"
                raise ModelUnreadable(f"{message}. Export again.", where=node.name or node.op_type)
    if not graph.output:
        raise ModelUnreadable("The graph has no output. Export again.")
    for value in graph.output:
        if value.name not in known:
            raise ModelUnreadable(f"Nothing makes the output '{value.name}'. Export again.", where=value.name)


def _first_repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _check_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the nodes in an order in which they can run; refuse a cycle, where some wait for each other for ever."""
    waiting = [{name for name in node.input if name} for node in graph.node]
    readers: dict[str, list[int]] = {}
    for index, names in enumerate(waiting):
        for name in names:
            readers.setdefault(name, []).append(index)
    order = [index for index, names in enumerate(waiting) if not names]
    made = deque([*(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)])
    made.extend(name for index in order for name in graph.node[index].output)
    while made:
        name = made.popleft()
        for index in readers.pop(name, ()):
            waiting[index].discard(name)
            if not waiting[index]:
                order.append(index)
                made.extend(graph.node[index].output)
    if len(order) < len(waiting):
        node = graph.node[next(index for index, names in enumerate(waiting) if names)]
        message = f"Node '{node.name}' ({node.op_type}) waits for its own result: the graph has a cycle"
        raise ModelUnreadable(f"{message}. Export again.", where=node.name or node.op_type)
    return [graph.node[index] for index in order]


def _check_schema(proto: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Let ONNX's own checker look at attributes and counts: on the bare graph, as it would copy the weights twice."""
    bare = onnx.ModelProto(ir_version=max(proto.ir_version, 4), opset_import=proto.opset_import)
    bare.graph.name = "bare"
    bare.graph.node.extend(nodes)
    bare.graph.input.extend(proto.graph.input)
    bare.graph.output.extend(proto.graph.output)
    declared = {value.name for value in proto.graph.input}
    for tensor in proto.graph.initializer:
        if tensor.name not in declared:
            value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            bare.graph.input.append(value)
    try:
        onnx.checker.check_model(bare)
    except (onnx.checker.ValidationError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0][:500]
        raise ModelUnreadable(f"The graph breaks the ONNX standard: {first_line} Export again.") from error
