"""The table of containers that images come in. One file each; a reader lists first and decodes on demand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from engine.data.containers.array import open_npy, open_npz
from engine.data.containers.folder import open_folder
from engine.data.containers.source import Source
from engine.data.containers.zip_archive import open_zip

LOADERS: dict[str, Callable[[Path], AbstractContextManager[Source]]] = {
    "folder": open_folder,
    "zip": open_zip,
    "npz": open_npz,
    "npy": open_npy,
}
