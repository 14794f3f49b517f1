"""A request's body into a part file: two buffers in memory, never more, and what arrived is kept however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from app.errors import Problem
from app.memory.turns import Turn
from app.uploads.partfile import PartFile

BUFFER_BYTES = 1024**2
CHECKPOINT_BYTES = 8 * 1024**2

Checkpoint = Callable[[int], None]


async def receive(
    body: AsyncIterator[bytes],
    file: PartFile,
    turn: Turn,
    *,
    limit_bytes: int,
    over_limit: Callable[[int], Problem],
    checkpoint: Checkpoint,
) -> None:
    """Append the body to `file` and return when all of it is on disk.

    One buffer fills while a thread hashes and writes the other. `checkpoint(offset)` is called in that thread each time
    another 8 MiB are safe, and at the end, also when the body was cut off. Raises `over_limit(size)` before the byte
    that would make the whole file larger than `limit_bytes`.
    """
    writer = _Writer(file, checkpoint)
    buffer = bytearray()
    try:
        async for chunk in body:
            turn.renew()
            size_bytes = writer.offset + len(buffer) + len(chunk)
            if size_bytes > limit_bytes:
                raise over_limit(size_bytes)
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                await writer.write(buffer)
                buffer = bytearray()
        turn.finish()
    finally:
        await writer.finish(buffer)


def too_large(limit_bytes: int) -> Problem:
    """Say what the limit is and who can move it."""
    detail = f"The file is over the limit of {limit_bytes} bytes (GET /v1/limits). Send a smaller file."
    return Problem(
        "upload-too-large", detail, headers={"Upload-Limit": f"max-size={limit_bytes}"}, limit_bytes=limit_bytes
    )


class _Writer:
    """Hands buffers to a thread, one at a time."""

    def __init__(self, file: PartFile, checkpoint: Checkpoint) -> None:
        self.offset = file.offset  # with what is still being written
        self._file = file
        self._checkpoint = checkpoint
        self._safe = file.offset
        self._under_way: asyncio.Future[None] | None = None

    async def write(self, buffer: bytearray) -> None:
        await self._wait()
        self.offset += len(buffer)
        self._under_way = asyncio.get_running_loop().run_in_executor(None, self._append, buffer)

    async def finish(self, buffer: bytearray) -> None:
        """Write the last bytes and make all of them safe, whatever interrupts; a full disk still keeps what fitted."""
        ending = asyncio.ensure_future(self._flush(buffer))
        interruption: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait([ending])
            except asyncio.CancelledError as error:
                interruption = error
        ending.result()
        if interruption is not None:
            raise interruption

    async def _flush(self, buffer: bytearray) -> None:
        try:
            await self.write(buffer)
            await self._wait()
        finally:
            await asyncio.to_thread(self._make_safe)

    async def _wait(self) -> None:
        # Shielded: a time-out must not leave a thread writing to a file that is then closed.
        if self._under_way is not None:
            await asyncio.shield(self._under_way)

    def _append(self, buffer: bytearray) -> None:
        self._file.append(buffer)
        if self._file.offset - self._safe >= CHECKPOINT_BYTES:
            self._make_safe()

    def _make_safe(self) -> None:
        if self._file.offset > self._safe:
            self._file.sync()
            self._checkpoint(self._file.offset)
            self._safe = self._file.offset
