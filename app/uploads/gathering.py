"""Where an upload's bytes gather until they are whole: a file of this machine, or parts in the store."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from core.db import Database


class PartLost(Exception):
    """Less is there than was acknowledged: somebody removed it, or its publishing broke off half way."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"only {size_bytes} bytes are there")
        self.size_bytes = size_bytes


class Gathering(Protocol):
    """Bytes behind one another from `offset` on. Everything blocks, and belongs in a thread."""

    offset: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def recount(self) -> None:
        """Take up what is needed to go on; must come before the first byte. Raises PartLost."""

    def append(self, block: bytes | bytearray) -> None:
        """Take all of `block`; `offset` counts what was taken."""

    def sync(self, *, is_end: bool) -> int:
        """Make bytes safe from a power cut, all of them at the end; return up to which offset they are."""

    def rewind(self) -> None:
        """Forget all that was appended since it was opened."""

    def head(self) -> bytes:
        """Return the first bytes of a file that is whole."""

    def publish(self, database: Database, expected_sha256: str | None) -> str:
        """Make a blob of a file that is whole and return its sha256. Raises `digest-mismatch`."""
