"""ONNX files in and out. A file is taken for hostile until it has passed every check here."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types

from engine.errors import ModelUnreadable, ModelUnsafe
from engine.formats.external import pull_in
from engine.formats.soundness import check_soundness
from engine.formats.wire import check_wire
from engine.graph.model import Model

MOST_BYTES = (1 << 31) - 1
"""The protobuf format itself ends at 2 GiB."""

_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive, perhaps a PyTorch .pt or .pth file",
    b"\x80\x02": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x89HDF": "an HDF5 file, perhaps Keras weights",
    b"\x1f\x8b": "a gzip archive",
    b"<": "a text file, perhaps a web page saved in place of a download",
    b"{": "a JSON file",
    b"version https://git-lfs": "a Git LFS pointer in place of the file itself",
}


def load(path: Path) -> Model:
    """Read an ONNX file into memory, weights included, its nodes in topological order.

    Raises ModelUnreadable, ModelUnsafe or OperatorUnsupported; the message says what was found and what to do.
    """
    data = _read(path)
    check_wire(data)
    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelUnreadable("The file is truncated or not ONNX. Export or upload it again.") from error
    pull_in(proto, path.parent)
    check_soundness(proto)
    try:
        model = Model(ir.from_proto(proto))
    except ir.serde.SerdeError as error:
        raise ModelUnreadable(f"The graph cannot be read: {_cause(error)}. Export it again.") from error
    model.graph.sort()
    return model


def _cause(error: BaseException) -> str:
    """Return the first line of the innermost error; the outer ones print whole graphs."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().splitlines()[0][:300]


def save(model: Model, path: Path) -> None:
    """Write one self-contained ONNX file."""
    path.write_bytes(model.to_bytes())


def _read(path: Path) -> bytes:
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MOST_BYTES:
            raise ModelUnsafe(f"The file has {size_bytes} bytes; at most {MOST_BYTES} are read.", where=path.name)
        data = path.read_bytes()
    except OSError as error:
        raise ModelUnreadable(f"The file cannot be read: {error.strerror}.", where=path.name) from error
    if not data:
        raise ModelUnreadable("The file is empty. Upload it again.", where=path.name)
    kind = next((kind for magic, kind in _OTHER_FORMATS.items() if data.startswith(magic)), None)
    if kind is not None:
        raise ModelUnreadable(
            f"The file is {kind}, not ONNX. Export the network with torch.onnx.export.", where=path.name
        )
    return data
