"""The file in which an upload gathers: one writer at a time, hashed on the way. Blocks: belongs in a thread."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from app.errors import Problem
from app.memory.running_hashes import RunningHashes
from app.uploads.digests import check_sha256
from app.uploads.gathering import PartLost
from core.blobs import publish
from core.db import Database
from core.storage.base import HEAD_BYTES, Storage


class PartFile:
    """An open part file standing at `offset`; whatever lay behind it is cut off.

    The lock is the kernel's, so it ends with the process that holds it, however that ends.
    """

    def __init__(self, path: Path, offset: int, storage: Storage, hashes: RunningHashes) -> None:
        """Open the file, made if need be. Raises PartLost when it is shorter than `offset`."""
        self.path = path
        self.offset = self._begun_at = offset
        self._storage = storage
        self._hashes = hashes
        self._running: hashlib._Hash | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            self._stand_at(offset)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
        if self._running is not None:
            self._hashes.keep(self.path, self.offset, self._running)

    def recount(self) -> None:
        """Take up the hash where it stood. Slow after a restart, when all is read."""
        self._running = self._hashes.take(self.path, self.offset)
        self._begun = self._running.copy()

    def append(self, block: bytes | bytearray) -> None:
        """Write all of `block`, or as much as the disk takes."""
        assert self._running is not None
        rest = memoryview(block)
        while rest:
            written = os.write(self._descriptor, rest)
            self._running.update(rest[:written])
            self.offset += written
            rest = rest[written:]

    def sync(self, *, is_end: bool) -> int:
        os.fsync(self._descriptor)
        return self.offset

    def rewind(self) -> None:
        self.offset, self._running = self._begun_at, self._begun
        self._stand_at(self.offset)

    def head(self) -> bytes:
        return os.pread(self._descriptor, HEAD_BYTES, 0)

    def publish(self, database: Database, expected_sha256: str | None) -> str:
        assert self._running is not None
        sha256 = self._running.hexdigest()
        check_sha256(sha256, expected_sha256)
        publish(database, self._storage, self.path, sha256)
        self._running = None  # nothing is to be kept of it
        return sha256

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = "Another request is writing to this upload. Ask HEAD for the offset and go on from there."
            raise Problem("upload-taken-over", message, headers={"Retry-After": "1"}) from error

    def _stand_at(self, offset: int) -> None:
        size_bytes = os.fstat(self._descriptor).st_size
        if size_bytes < offset:
            raise PartLost(size_bytes)
        os.ftruncate(self._descriptor, offset)
        os.lseek(self._descriptor, offset, os.SEEK_SET)
