"""ONNX files in and out. A file is taken for hostile until it has passed every check here."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

from engine.errors import ModelUnreadable, ModelUnsafe
from engine.formats.archives import MOST_BYTES
from engine.formats.checks.bodies import every_graph
from engine.formats.checks.external import Folder, Neighbours, pull_in
from engine.formats.checks.soundness import check_soundness
from engine.formats.checks.text import check_text
from engine.formats.checks.wire import check_wire
from engine.formats.kinds import sample, what_else
from engine.graph.model import Model
from engine.recipe import Architecture


def load(path: Path, architecture: Architecture | None = None) -> Model:
    """Read an ONNX file into memory, weights included, its nodes in topological order; it is its own architecture.

    Raises ModelUnreadable, ModelUnsafe or OperatorUnsupported; the message says what was found and what to do.
    """
    found = sample(path)
    other = what_else(found)
    if other is not None:
        raise ModelUnreadable(f"The file is {other}", where=path.name)
    if found.size_bytes > MOST_BYTES:
        raise ModelUnsafe(f"The file has {found.size_bytes} bytes; at most {MOST_BYTES} are read.", where=path.name)
    return read(path.read_bytes(), Folder(path.parent))


def read(data: bytes, neighbours: Neighbours) -> Model:
    """Read the bytes of an ONNX file; its neighbours are the files that may hold its weights. Raises as `load` does."""
    check_wire(data)
    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelUnreadable("The file is truncated or not ONNX. Export or upload it again.") from error
    del data  # a network of 2 GiB is in memory once, not twice
    check_text(proto.graph)
    pull_in(proto, neighbours)
    _open_unknown_sizes(proto.graph)
    check_soundness(proto)
    try:
        model = Model(ir.from_proto(proto))
    except ir.serde.SerdeError as error:
        raise ModelUnreadable(f"The graph cannot be read: {_cause(error)}. Export it again.") from error
    model.graph.sort()
    return model


def _open_unknown_sizes(graph: onnx.GraphProto) -> None:
    """Leave open, in place, the sizes that PaddlePaddle's exporter writes as -1 or '?' because it does not know them.

    Two axes of the name '?' would be taken for equal ones.
    """
    for value in (value for inner in every_graph(graph) for value in (*inner.input, *inner.output, *inner.value_info)):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value == -1 or dim.dim_param == "?":
                dim.Clear()


def save(model: Model, path: Path) -> None:
    """Write one self-contained ONNX file."""
    path.write_bytes(model.to_bytes())


def _cause(error: BaseException) -> str:
    """Return the first line of the innermost error; the outer ones print whole graphs."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().splitlines()[0][:300]
