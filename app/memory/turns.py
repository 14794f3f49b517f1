"""Whose turn it is to write to an upload: one request at a time, which a newcomer, silence or the server's end ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import Problem

IDLE_SECONDS = 30.0
DRAIN_SECONDS, TAKE_OVER_SECONDS = 0.1, 2.0


class Turn:
    """The right to write to one upload, for as long as its body keeps coming."""

    def __init__(self, patience: asyncio.Timeout) -> None:
        self._patience = patience
        self._give_up_at: float | None = None
        self._is_finishing = False
        self.ended = asyncio.Event()

    @property
    def is_taken_over(self) -> bool:
        return self._give_up_at is not None

    def renew(self) -> None:
        """Note that bytes came."""
        now = asyncio.get_running_loop().time()
        if self._give_up_at is None:
            self._patience.reschedule(now + IDLE_SECONDS)
        elif not self._patience.expired():
            self._patience.reschedule(min(now + DRAIN_SECONDS, self._give_up_at))

    def finish(self) -> None:
        """Note that all bytes came; from here on nothing interrupts."""
        if not self._patience.expired():
            self._is_finishing = True
            self._patience.reschedule(None)

    def stop(self) -> None:
        """Stop waiting for bytes at once."""
        if not self._is_finishing and not self._patience.expired():
            self._give_up_at = asyncio.get_running_loop().time()
            self._patience.reschedule(self._give_up_at)

    def yield_to_newcomer(self) -> None:
        """Stop waiting for bytes, but take what a dead connection has left in the system's buffers."""
        if self._give_up_at is None and not self._is_finishing:
            self._give_up_at = asyncio.get_running_loop().time() + TAKE_OVER_SECONDS
            self.renew()


class Turns:
    """One writer for each upload in this process: a newcomer takes over, for the old connection is most likely dead."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._is_stopping = False

    @asynccontextmanager
    async def alone(self, upload_id: str) -> AsyncIterator[Turn]:
        """Hold the only turn; a body that stands still for 30 s, a newcomer or `stop` ends it with a problem."""
        if self._is_stopping:
            raise _stopping()
        await self.interrupt(upload_id)
        turn = None
        try:
            async with asyncio.timeout(IDLE_SECONDS) as patience:
                turn = self._turns[upload_id] = Turn(patience)
                yield turn
        except TimeoutError as error:
            if self._is_stopping:
                raise _stopping() from error
            if turn is not None and turn.is_taken_over:
                message = "Another request went on with this upload. Ask HEAD for the offset."
                raise Problem("upload-taken-over", message) from error
            raise Problem("request-timeout", f"No byte came for {IDLE_SECONDS:.0f} s. What arrived is kept.") from error
        finally:
            if turn is not None:
                del self._turns[upload_id]
                turn.ended.set()

    async def interrupt(self, upload_id: str) -> None:
        """Stop whoever is writing and return when what it received is safe."""
        while (turn := self._turns.get(upload_id)) is not None:
            turn.yield_to_newcomer()
            await turn.ended.wait()

    def stop(self) -> None:
        """End every turn, and give none any more."""
        self._is_stopping = True
        for turn in self._turns.values():
            turn.stop()

    async def over(self) -> None:
        """Return when nobody writes, and all that was received is safe."""
        while self._turns:
            await next(iter(self._turns.values())).ended.wait()


def _stopping() -> Problem:
    detail = "This server stops. Send it again; an upload in pieces goes on from the offset that HEAD tells."
    return Problem("server-stopping", detail, headers={"Retry-After": "1"})
