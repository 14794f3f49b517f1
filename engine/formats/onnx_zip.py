"""A zip archive with one ONNX file and, beside it, the files of its weights: how a network in parts is uploaded."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import IO

from engine.errors import ModelUnreadable
from engine.formats.archives import Archive
from engine.formats.checks.external import missing
from engine.formats.onnx import read
from engine.graph.model import Model
from engine.recipe import Architecture


def load(path: Path, architecture: Architecture | None = None) -> Model:
    """Read the one network of the archive. Raises as the loader of ONNX files does."""
    with Archive(path) as archive:
        models = [name for name in archive.names if name.lower().endswith(".onnx") and not _is_litter(name)]
        if len(models) != 1:
            found = ", ".join(sorted(models)[:5]) or "none"
            raise ModelUnreadable(f"A zip holds one .onnx file; found {found}. Pack one network with its weights.")
        return read(archive.read(models[0]), _Beside(archive, PurePosixPath(models[0]).parent))


class _Beside:
    """The archive's members in the model's own folder; each is unpacked once, as many tensors read from it."""

    def __init__(self, archive: Archive, folder: PurePosixPath) -> None:
        self._archive = archive
        self._folder = folder
        self._unpacked: dict[str, bytes] = {}

    def size_bytes(self, tensor: str, name: str) -> int:
        member = str(self._folder / name)
        if member not in self._archive.names:
            raise missing(tensor, name)
        return self._archive.size_bytes(member)

    def open(self, name: str) -> IO[bytes]:
        if name not in self._unpacked:
            self._unpacked[name] = self._archive.read(str(self._folder / name))
        return io.BytesIO(self._unpacked[name])


def _is_litter(name: str) -> bool:
    """Tell what a Mac adds to each archive."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith("._")
