"""Whether the tensors of an ONNX file are as long as they say: sizes, element type, and the bytes that are there."""

from __future__ import annotations

import math

import onnx

from engine.errors import ModelUnreadable, ModelUnsafe, OperatorUnsupported
from engine.formats.checks.bodies import every_graph
from engine.formats.checks.external import tensors_of

MOST_ELEMENTS = 1 << 31
"""Elements of one tensor that the file itself announces; two thousand million are 8 GiB of float32."""


def check_tensors(graph: onnx.GraphProto) -> None:
    """Raise ModelUnreadable, ModelUnsafe or OperatorUnsupported, naming the tensor, unless all are sound."""
    sparse = next((inner.sparse_initializer for inner in every_graph(graph) if inner.sparse_initializer), None)
    if sparse is not None:
        name = sparse[0].values.name
        raise OperatorUnsupported(
            f"The graph has sparse initialisers, '{name}' first, which are not run. Export dense weights.", where=name
        )
    for tensor in tensors_of(graph):
        _check_tensor(tensor)


def _check_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type not in onnx.TensorProto.DataType.values() or tensor.data_type == onnx.TensorProto.UNDEFINED:
        raise ModelUnreadable(f"Tensor '{tensor.name}' has no known element type. Export it again.", where=tensor.name)
    if any(size < 0 for size in tensor.dims):
        message = f"Tensor '{tensor.name}' has a negative size: {list(tensor.dims)}"
        raise ModelUnreadable(f"{message}. Export it again.", where=tensor.name)
    if tensor.HasField("segment"):
        raise OperatorUnsupported(f"Tensor '{tensor.name}' is stored in segments. Export it whole.", where=tensor.name)
    elements = math.prod(tensor.dims)
    if elements > MOST_ELEMENTS:
        raise ModelUnsafe(
            f"Tensor '{tensor.name}' announces {elements} elements: {list(tensor.dims)}.", where=tensor.name
        )
    wanted, found = _lengths(tensor, elements)
    if wanted != found:
        message = f"Tensor '{tensor.name}' of sizes {list(tensor.dims)} should hold {wanted} and holds {found}"
        raise ModelUnreadable(f"{message}. The file is damaged; export it again.", where=tensor.name)


def _lengths(tensor: onnx.TensorProto, elements: int) -> tuple[int, int]:
    """Return how much there has to be and how much there is: bytes, or entries of the field for its type."""
    if tensor.data_type == onnx.TensorProto.STRING:
        return elements, len(tensor.string_data)
    if tensor.HasField("raw_data"):
        return math.ceil(elements * _bits(tensor) / 8), len(tensor.raw_data)
    field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
    return _field_length(tensor, elements), len(getattr(tensor, field))


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
