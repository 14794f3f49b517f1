"""The files that are being joined and read in the store, few at a time: each holds one of the process's threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

AT_ONCE = 2


class Joins:
    """Work that goes on when its asker has left: reading gigabytes outlasts many a client's patience.

    Who asks again waits for the same work. `reading` is for whoever reads a whole file.
    """

    def __init__(self) -> None:
        self.reading = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    async def once(self, upload_id: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Do the work, or wait for whoever is doing it; raise what it raised."""
        task = self._tasks.get(upload_id)
        if task is None:
            task = self._tasks[upload_id] = asyncio.ensure_future(work())
            task.add_done_callback(lambda ended: self._forget(upload_id, ended))
        await asyncio.shield(task)

    async def over(self) -> None:
        """Return when nothing is being joined."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _forget(self, upload_id: str, ended: asyncio.Task[Any]) -> None:
        del self._tasks[upload_id]
        if not ended.cancelled():
            ended.exception()  # seen, also where nobody waits any more
