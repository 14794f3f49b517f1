"""Weights kept in a file beside the model: only a plain name in the same folder is ever opened."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from engine.errors import ModelUnreadable, ModelUnsafe

_KEYS = {"location", "offset", "length", "checksum"}


def pull_in(proto: onnx.ModelProto, folder: Path) -> None:
    """Read, in place, all external weights into the model. Raises ModelUnsafe or ModelUnreadable."""
    for tensor in tensors_of(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _pull_in(tensor, folder)


def tensors_of(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield each tensor of the file: initialisers and those that are attributes of nodes."""
    yield from proto.graph.initializer
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _pull_in(tensor: onnx.TensorProto, folder: Path) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not set(entries) <= _KEYS:
        unknown = ", ".join(sorted(set(entries) - _KEYS))
        raise ModelUnsafe(f"Tensor '{tensor.name}': unknown external-data keys {unknown}.", where=tensor.name)
    path = folder / _plain_name(tensor.name, entries.get("location", ""))
    size_bytes = _regular_size(tensor.name, path)
    offset = _number(tensor.name, entries.get("offset", "0"))
    length = _number(tensor.name, entries.get("length", str(size_bytes - offset)))
    if offset + length > size_bytes:
        message = f"Tensor '{tensor.name}': bytes {offset} to {offset + length} of '{path.name}' are wanted"
        raise ModelUnreadable(f"{message}, but it has {size_bytes}. Upload the whole file.", where=tensor.name)
    with path.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    tensor.ClearField("external_data")
    tensor.data_location = onnx.TensorProto.DEFAULT


def _plain_name(tensor: str, location: str) -> str:
    """Return the location if it is one plain file name by the rules of every system."""
    plain = location == PurePosixPath(location).name == PureWindowsPath(location).name
    if not plain or location in ("", ".", "..") or "\0" in location or ":" in location:
        raise ModelUnsafe(
            f"Tensor '{tensor}' wants its data from {location!r}, which is not a plain file name beside the model. "
            "Save the model as one file: onnx.save(model, path, save_as_external_data=False).",
            where=tensor,
        )
    return location


def _regular_size(tensor: str, path: Path) -> int:
    try:
        status = path.lstat()
    except OSError as error:
        raise ModelUnreadable(
            f"Tensor '{tensor}' keeps its data in '{path.name}', which did not come with the model. "
            "Save the model as one file: onnx.save(model, path, save_as_external_data=False).",
            where=tensor,
        ) from error
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise ModelUnsafe(f"Tensor '{tensor}': '{path.name}' is a link or no regular file.", where=tensor)
    return status.st_size


def _number(tensor: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ModelUnreadable(f"Tensor '{tensor}': '{text}' is not an offset or a length.", where=tensor)
    return int(text)
