"""What every store does, and the few ways in which it may fail. Knows no store."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol

CHUNK_BYTES: Final = 1024 * 1024


class StorageError(Exception):
    """
    StorageError
    ├── BlobMissing          no bytes under this name
    ├── BlobCorrupt          the bytes do not have the sha256 that they are named by
    ├── StorageFull          no room left
    └── StorageUnavailable   the store does not answer: try again later
    """


class BlobMissing(StorageError):
    pass


class BlobCorrupt(StorageError):
    pass


class StorageFull(StorageError):
    pass


class StorageUnavailable(StorageError):
    pass


class Storage(Protocol):
    """Immutable blobs. All but `stream` block, and belong in a thread when called from an event loop."""

    def put_file(self, path: Path, sha256: str) -> None:
        """Publish a file, whose sha256 the caller has counted, and consume it. A blob appears whole or not at all."""

    def fetch(self, sha256: str, path: Path) -> None:
        """Write a blob to a new file, counting its sha256 on the way. Raises BlobMissing, BlobCorrupt."""

    def stream(self, sha256: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes from `start` up to but without `stop`. Raises BlobMissing at the first step."""

    def exists(self, sha256: str) -> bool: ...

    def size(self, sha256: str) -> int:
        """Return the number of bytes. Raises BlobMissing."""

    def delete(self, sha256: str) -> None:
        """Forget a blob; one that is not there is forgotten already."""


def hash_file(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(sha256: str) -> str:
    """Return the name of a blob inside a store: `ab/ab12…`. Refuses anything but 64 hexadecimal digits."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError(f"'{sha256[:80]}' is not a sha256 in lower-case hexadecimal.")
    return f"{sha256[:2]}/{sha256}"
