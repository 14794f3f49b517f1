"""What every store does, and the few ways in which it may fail. Knows no store."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple, Protocol

CHUNK_BYTES: Final = 1024 * 1024
HEAD_BYTES: Final = 512
"""As many first bytes as tell what kind of file it is."""


class StorageError(Exception):
    """
    StorageError
    ├── BlobMissing          no bytes under this name
    ├── BlobCorrupt          the bytes do not have the sha256 that they are named by
    ├── PartsMismatch        the parts that a client has put are not those that were listed
    ├── StorageFull          no room left
    └── StorageUnavailable   the store does not answer: try again later
    """


class BlobMissing(StorageError):
    pass


class BlobCorrupt(StorageError):
    pass


class PartsMismatch(StorageError):
    pass


class StorageFull(StorageError):
    pass


class StorageUnavailable(StorageError):
    pass


class Part(NamedTuple):
    """One part of a file that a client puts into the store itself; numbers begin at 1, `etag` is the store's."""

    number: int
    size_bytes: int
    etag: str = ""


class Gathered(NamedTuple):
    """What was read of a file whose parts a client has put: its sha256, its size, its first bytes."""

    sha256: str
    size_bytes: int
    head: bytes


class Direct(Protocol):
    """Files that gather in the store in parts, put by us or, by signed URLs, by clients. All but the URLs blocks."""

    def begin(self, upload_id: str) -> str:
        """Begin to gather parts; return the store's name for the gathering."""

    def part_url(self, upload_id: str, multipart_id: str, part: Part, seconds: int) -> str:
        """Return where one part is to be PUT, for so long."""

    def put_part(self, upload_id: str, multipart_id: str, number: int, content: bytes | bytearray) -> None:
        """Put one part ourselves."""

    def put_tail(self, upload_id: str, number: int, content: bytes | bytearray) -> None:
        """Keep the beginning of a part that is not whole yet."""

    def tail(self, upload_id: str, number: int) -> bytes:
        """Return what is kept of a part that is not whole yet. Raises BlobMissing."""

    def parts(self, upload_id: str, multipart_id: str) -> list[Part]:
        """List what has arrived. Raises BlobMissing when nothing is gathered under these names any more."""

    def join(self, upload_id: str, multipart_id: str, parts: list[Part]) -> None:
        """Make one file of the parts. Raises PartsMismatch when one is not as it was listed."""

    def read(self, upload_id: str) -> Gathered:
        """Read the whole joined file. Raises BlobMissing when it was not joined yet."""

    def publish(self, upload_id: str, sha256: str) -> None:
        """Make the joined file a blob; it stays until it is discarded."""

    def discard(self, upload_id: str, multipart_id: str) -> None:
        """Forget the parts and the joined file."""

    def abandon(self, upload_id: str, multipart_id: str) -> None:
        """Forget the parts of one gathering, of which an upload may by mischance have two."""


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

    def download_url(self, sha256: str, *, name: str, media_type: str, seconds: int) -> str | None:
        """Return where clients can read a blob themselves for so long; None where the store has no such address."""

    @property
    def direct(self) -> Direct | None:
        """How clients put files into the store themselves; None where they cannot."""


def hash_file(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_of(sha256: str) -> str:
    """Return the name of a blob inside a store: `ab/ab12…`. Refuses anything but 64 hexadecimal digits."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError(f"'{sha256[:80]}' is not a sha256 in lower-case hexadecimal.")
    return f"{sha256[:2]}/{sha256}"
