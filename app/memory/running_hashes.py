"""The hash of what each upload has so far, so that the next PATCH need not read it all again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path

READ_BYTES = 1024**2


class RunningHashes:
    """A hash's state cannot be written down; after a restart it is made anew from the file."""

    def __init__(self, capacity: int = 64) -> None:
        self._capacity = capacity
        self._hashes: OrderedDict[Path, tuple[int, hashlib._Hash]] = OrderedDict()

    def take(self, path: Path, offset: int) -> hashlib._Hash:
        """Return the hash of the file's first `offset` bytes, from memory or from the file."""
        known_offset, known = self._hashes.pop(path, (0, hashlib.sha256()))
        return known if known_offset == offset else _hash_of(path, offset)

    def keep(self, path: Path, offset: int, running: hashlib._Hash) -> None:
        self._hashes[path] = (offset, running)
        while len(self._hashes) > self._capacity:
            self._hashes.popitem(last=False)

    def forget(self, path: Path) -> None:
        self._hashes.pop(path, None)


def _hash_of(path: Path, length: int) -> hashlib._Hash:
    running = hashlib.sha256()
    with path.open("rb") as file:
        while length > 0:
            block = file.read(min(READ_BYTES, length))
            running.update(block)
            length -= len(block)
    return running
