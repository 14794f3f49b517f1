"""Weights kept in a file beside the model: only a plain name in the same folder or archive is ever opened."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Protocol

import onnx

from engine.errors import ModelUnreadable, ModelUnsafe
from engine.formats.archives import MOST_BYTES
from engine.formats.checks.bodies import bodies

_KEYS = {"location", "offset", "length", "checksum"}


class Neighbours(Protocol):
    """The files that came with a model."""

    def size_bytes(self, tensor: str, name: str) -> int:
        """Return the size of a plain file. Raises ModelUnreadable or ModelUnsafe, naming the tensor that wants it."""
        ...

    def open(self, name: str) -> IO[bytes]: ...


class Folder:
    """The files in the model's folder; links are refused."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def size_bytes(self, tensor: str, name: str) -> int:
        try:
            status = (self._path / name).lstat()
        except OSError as error:
            raise missing(tensor, name) from error
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise ModelUnsafe(f"Tensor '{tensor}': '{name}' is a link or no regular file.", where=tensor)
        return status.st_size

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")


def missing(tensor: str, name: str) -> ModelUnreadable:
    return ModelUnreadable(
        f"Tensor '{tensor}' keeps its data in '{name}', which did not come with the model. "
        "Upload a .zip with both files, or save the model as one: onnx.save(model, path, save_as_external_data=False).",
        where=tensor,
    )


def pull_in(proto: onnx.ModelProto, neighbours: Neighbours) -> None:
    """Read, in place, all external weights into the model. Raises ModelUnsafe or ModelUnreadable."""
    total = 0
    for tensor in tensors_of(proto.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            total += _pull_in(tensor, neighbours, MOST_BYTES - total)


def tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield each tensor of a graph: initialisers, those that are attributes of nodes, and those of graphs inside."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for body in bodies(node):
            yield from tensors_of(body)


def _pull_in(tensor: onnx.TensorProto, neighbours: Neighbours, room: int) -> int:
    """Return how many bytes came in; refuse more than there is room for."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not set(entries) <= _KEYS:
        unknown = ", ".join(sorted(set(entries) - _KEYS))
        raise ModelUnsafe(f"Tensor '{tensor.name}': unknown external-data keys {unknown}.", where=tensor.name)
    name = _plain_name(tensor.name, entries.get("location", ""))
    size_bytes = neighbours.size_bytes(tensor.name, name)
    offset = _number(tensor.name, entries.get("offset", "0"))
    length = _number(tensor.name, entries.get("length", str(max(0, size_bytes - offset))))
    if offset + length > size_bytes:
        message = f"Tensor '{tensor.name}': bytes {offset} to {offset + length} of '{name}' are wanted"
        raise ModelUnreadable(f"{message}, but it has {size_bytes}. Upload the whole file.", where=tensor.name)
    if length > room:
        raise ModelUnsafe(
            f"Tensor '{tensor.name}': the external weights together have more than {MOST_BYTES} bytes.",
            where=tensor.name,
        )
    with closing(neighbours.open(name)) as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    tensor.ClearField("external_data")
    tensor.data_location = onnx.TensorProto.DEFAULT
    return length


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


def _number(tensor: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ModelUnreadable(f"Tensor '{tensor}': '{text[:40]}' is not an offset or a length.", where=tensor)
    return int(text)
