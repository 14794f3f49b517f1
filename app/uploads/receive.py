"""A request's body into a gathering: two buffers in memory, never more, and what arrived is kept however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from app.errors import Problem
from app.memory.turns import Turn
from app.uploads.gathering import Gathering
from app.uploads.kinds import check_head
from app.uploads.seals import Seal
from core.metrics.counting import count
from core.metrics.table import UPLOAD_BYTES
from core.storage.base import HEAD_BYTES

BUFFER_BYTES = 1024**2
CHECKPOINT_BYTES = 8 * 1024**2

Checkpoint = Callable[[int], None]


@dataclass(frozen=True)
class Terms:
    """What is asked of the bytes on their way.

    `over_limit(size)` is raised before the byte that would make the whole larger than `limit_bytes`;
    `checkpoint(offset)` is called in a thread each time another 8 MiB are safe, and at the end; `kind` is what the
    first bytes must not contradict. Bytes under a `seal` are kept all or not at all.
    """

    limit_bytes: int
    over_limit: Callable[[int], Problem]
    checkpoint: Checkpoint
    kind: str | None = None
    seal: Seal | None = None


async def receive(body: AsyncIterator[bytes], file: Gathering, turn: Turn, terms: Terms) -> None:
    """Append the body to `file` and return when all of it is safe; what came before a cut is made safe, too.

    One buffer fills while a thread hashes and writes the other.
    """
    writer = _Writer(file, terms)
    buffer, is_whole = bytearray(), False
    try:
        async for chunk in body:
            turn.renew()
            size_bytes = writer.offset + len(buffer) + len(chunk)
            if size_bytes > terms.limit_bytes:
                raise terms.over_limit(size_bytes)
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                await writer.write(buffer)
                buffer = bytearray()
        turn.finish()
        is_whole = True
    finally:
        await writer.finish(buffer, is_whole=is_whole)


class _Writer:
    """Hands buffers to a thread, one at a time."""

    def __init__(self, file: Gathering, terms: Terms) -> None:
        self.offset = file.offset  # with what is still being written
        self._file = file
        self._terms = terms
        self._safe = file.offset
        self._under_way: asyncio.Future[None] | None = None

    async def write(self, buffer: bytearray) -> None:
        if self.offset == 0:
            check_head(bytes(buffer[:HEAD_BYTES]), self._terms.kind)
        await self._wait()
        self.offset += len(buffer)
        self._under_way = asyncio.get_running_loop().run_in_executor(None, self._append, buffer)

    async def finish(self, buffer: bytearray, *, is_whole: bool) -> None:
        """Write the last bytes and make all of them safe, whatever interrupts; a full disk still keeps what fitted."""
        ending = asyncio.ensure_future(self._flush(buffer, is_whole=is_whole))
        interruption: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait([ending])
            except asyncio.CancelledError as error:
                interruption = error
        ending.result()
        if interruption is not None:
            raise interruption

    async def _flush(self, buffer: bytearray, *, is_whole: bool) -> None:
        is_written = False
        try:
            await self.write(buffer)
            await self._wait()
            is_written = True
        finally:
            await asyncio.to_thread(self._end, is_whole=is_whole and is_written)

    async def _wait(self) -> None:
        # Shielded: a time-out must not leave a thread writing to a file that is then closed.
        if self._under_way is not None:
            await asyncio.shield(self._under_way)

    def _append(self, buffer: bytearray) -> None:
        if self._terms.seal is not None:
            self._terms.seal.update(buffer)
        self._file.append(buffer)
        if self._terms.seal is None and self._file.offset - self._safe >= CHECKPOINT_BYTES:
            self._make_safe(is_end=False)

    def _end(self, *, is_whole: bool) -> None:
        if self._terms.seal is not None:
            if not is_whole:
                self._file.rewind()
                return
            try:
                self._terms.seal.check()
            except Problem:
                self._file.rewind()
                raise
        self._make_safe(is_end=True)

    def _make_safe(self, *, is_end: bool) -> None:
        if self._file.offset == self._safe:
            return
        safe = self._file.sync(is_end=is_end)
        if safe > self._safe:
            self._terms.checkpoint(safe)
            count(UPLOAD_BYTES, by=safe - self._safe)
            self._safe = safe
