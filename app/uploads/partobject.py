"""The parts in which an upload gathers in the store, so that any web process can go on with it. Blocks.

Parts of 8 MiB, and behind them the beginning of the next one as an object of its own: a store takes no short part but
the last. The sha256 is counted when all is joined, from what is then there: whoever put a part is asked nothing.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from app.uploads.digests import check_sha256
from app.uploads.gathering import PartLost
from core.blobs import publish_joined
from core.db import Database
from core.storage.base import BlobMissing, Direct, Gathered

PART_BYTES: Final = 8 * 1024**2


class PartObject:
    """Parts of one upload, standing at `offset`. Who may write is decided by the upload's row."""

    def __init__(self, direct: Direct, upload_id: str, multipart_id: str, offset: int) -> None:
        self.offset = self._begun_at = offset
        self._direct = direct
        self._upload_id = upload_id
        self._multipart_id = multipart_id
        self._buffer = bytearray()
        self._gathered: Gathered | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""

    def recount(self) -> None:
        """Fetch the beginning of the part that is not whole."""
        number, length = divmod(self.offset, PART_BYTES)
        if not length:
            return
        try:
            tail = self._direct.tail(self._upload_id, number + 1)
        except BlobMissing as error:
            raise PartLost(self.offset - length) from error
        if len(tail) < length:
            raise PartLost(self.offset - length + len(tail))
        self._buffer = bytearray(tail[:length])

    def append(self, block: bytes | bytearray) -> None:
        self._buffer += block
        self.offset += len(block)
        self._put_whole_parts()

    def sync(self, *, is_end: bool) -> int:
        self._put_whole_parts()  # one that the store did not take before
        whole = self.offset - len(self._buffer)
        if not is_end or not self._buffer:
            return whole
        self._direct.put_tail(self._upload_id, whole // PART_BYTES + 1, self._buffer)
        return self.offset

    def rewind(self) -> None:
        """Parts that were put stay until they are replaced, or left out when all is joined."""
        self.offset = self._begun_at

    def head(self) -> bytes:
        return self._joined().head

    def publish(self, database: Database, expected_sha256: str | None) -> str:
        gathered = self._joined()
        check_sha256(gathered.sha256, expected_sha256)
        publish_joined(database, self._direct, self._upload_id, gathered)
        return gathered.sha256

    def _put_whole_parts(self) -> None:
        while len(self._buffer) >= PART_BYTES:
            number = (self.offset - len(self._buffer)) // PART_BYTES + 1
            self._direct.put_part(self._upload_id, self._multipart_id, number, self._buffer[:PART_BYTES])
            del self._buffer[:PART_BYTES]

    def _joined(self) -> Gathered:
        """Join the parts, unless a try before this one has, and read them all."""
        if self._gathered is None:
            try:
                self._gathered = self._join()
            except BlobMissing as error:
                raise PartLost(0) from error
            if self._gathered.size_bytes != self.offset:
                raise PartLost(self._gathered.size_bytes)
        return self._gathered

    def _join(self) -> Gathered:
        try:
            parts = self._direct.parts(self._upload_id, self._multipart_id)
        except BlobMissing:  # joined already, by a try that broke off behind that
            return self._direct.read(self._upload_id)
        if self._buffer:
            number = self.offset // PART_BYTES + 1
            self._direct.put_part(self._upload_id, self._multipart_id, number, self._buffer)
            parts = self._direct.parts(self._upload_id, self._multipart_id)
        count = -(-self.offset // PART_BYTES)
        self._direct.join(self._upload_id, self._multipart_id, [part for part in parts if part.number <= count])
        return self._direct.read(self._upload_id)
