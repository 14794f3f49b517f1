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


class PartLost(Exception):
    """The file has fewer bytes than were acknowledged: somebody removed it, or its publishing broke off half way."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"only {size_bytes} bytes are there")
        self.size_bytes = size_bytes


class PartFile:
    """An open part file standing at `offset`; whatever lay behind it is cut off.

    The lock is the kernel's, so it ends with the process that holds it, however that ends.
    """

    def __init__(self, path: Path, offset: int, hashes: RunningHashes) -> None:
        """Open the file, made if need be. Raises PartLost when it is shorter than `offset`."""
        self.path = path
        self.offset = offset
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
        """Take up the hash where it stood; must come before the first byte. Slow after a restart, when all is read."""
        self._running = self._hashes.take(self.path, self.offset)

    @property
    def sha256(self) -> str:
        """The hex digest of everything so far."""
        assert self._running is not None
        return self._running.hexdigest()

    def append(self, block: bytes | bytearray) -> None:
        """Write all of `block`, or as much as the disk takes; `offset` counts what was written."""
        assert self._running is not None
        rest = memoryview(block)
        while rest:
            written = os.write(self._descriptor, rest)
            self._running.update(rest[:written])
            self.offset += written
            rest = rest[written:]

    def sync(self) -> None:
        """Return when everything so far would survive a power cut."""
        os.fsync(self._descriptor)

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
