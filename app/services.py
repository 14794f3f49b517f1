"""What the web process holds for as long as it lives, wired once by `create_app`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import structlog

from app.drain import CLOSE_SECONDS, Drain
from app.memory.joins import Joins
from app.memory.key_uses import KeyUses
from app.memory.paces import Paces
from app.memory.running_hashes import RunningHashes
from app.memory.shown_jobs import ShownJobs
from app.memory.turns import Turns
from app.metrics.rows import RowsPage
from core.db import Database, open_database
from core.keys import load_pepper
from core.limits import stricter
from core.metrics.admin import own_text
from core.settings import Settings
from core.storage import open_storage
from core.storage.base import Storage
from core.tracing.opening import NO_TRACING, Tracing, open_tracing

log = structlog.get_logger("app.services")


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Database
    storage: Storage
    pepper: bytes = field(repr=False)  # whoever prints the services must not print the secret
    turns: Turns = field(default_factory=Turns)
    joins: Joins = field(default_factory=Joins)
    hashes: RunningHashes = field(default_factory=RunningHashes)
    shown_jobs: ShownJobs = field(default_factory=ShownJobs)
    paces: Paces = field(default_factory=Paces)
    key_uses: KeyUses = field(default_factory=KeyUses)
    job_written: asyncio.Event = field(default_factory=asyncio.Event)
    drain: Drain = field(default_factory=Drain)
    tracing: Tracing = NO_TRACING

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Open what the settings name; the tables are there already (`core.db.upgrade`)."""
        tracing = open_tracing(settings, "web")
        return cls(settings, open_database(settings), open_storage(settings), load_pepper(settings), tracing=tracing)

    def metrics_text(self) -> bytes:
        """Return what this process has counted and what the rows say, in Prometheus' format; reads the database."""
        return own_text() + self._rows_page.text()

    @cached_property
    def _rows_page(self) -> RowsPage:
        return RowsPage(self.database, self.settings)

    def pace_of(self, requests_per_minute: int | None) -> int | None:
        """Return how often a key may ask in a minute: as its project says, and no more than the settings do."""
        return stricter(requests_per_minute, self.settings.requests_per_minute)

    def end_what_lasts(self) -> None:
        """Send streams, waits and uploads elsewhere: this process closes."""
        self.drain.is_begun = self.drain.is_over = True
        self.turns.stop()

    async def close(self) -> None:
        """Close the database when nobody uses it any more: who is cancelled leaves a thread behind, and that goes on.

        One that hangs is waited for no longer than CLOSE_SECONDS. The last step of an event loop, which starts no
        thread after it.
        """
        try:
            over = asyncio.ensure_future(self._over())
            # Only waited for: a cancelled shutdown of the threads would stop the whole loop until the last has ended.
            _, late = await asyncio.wait([over], timeout=CLOSE_SECONDS)
            if late:
                log.warning("close.late", waited_seconds=CLOSE_SECONDS)
        finally:
            await self.database.aclose()
            self.tracing.close()

    async def _over(self) -> None:
        await self.turns.over()
        await self.joins.over()
        await asyncio.get_running_loop().shutdown_default_executor()

    @property
    def part_folder(self) -> Path:
        """Where uploads gather. Local to this machine: with several, an upload stays with the one it began on."""
        return self.settings.data_dir / "uploads"
