"""What the web process does beside answering: rings bells soon after a job was written, and sweeps now and then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import structlog

from app.keys.service import note_uses
from app.services import Services
from app.uploads.service import sweep as sweep_uploads
from core.queue import dispatch, open_bell
from core.sweep import Sweeper

log = structlog.get_logger("app.background")

RING_SECONDS = 0.05
SWEEP_SECONDS = 10.0
TIDY_SECONDS = 300.0


@contextlib.asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Keep the background at work. At the end no step begins any more; one that a thread is taking goes on."""
    tasks = [asyncio.create_task(_ring(services)), asyncio.create_task(_sweep(services))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ring(services: Services) -> None:
    """Ring after each written job. A bell that could not be rung waits for the sweep."""
    bell = open_bell(services.settings)
    while True:
        await services.job_written.wait()
        services.job_written.clear()
        with _faults_logged("ring"):
            await asyncio.to_thread(dispatch, services.database, bell)
        await asyncio.sleep(RING_SECONDS)  # who submits a thousand jobs a second shares the disk with fewer rings


async def _sweep(services: Services) -> None:
    sweeper = Sweeper(services.database, open_bell(services.settings), services.settings)
    loop = asyncio.get_running_loop()
    tidied_at = -TIDY_SECONDS
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        with _faults_logged("sweep"):
            await asyncio.to_thread(_note_key_uses, services)
            await asyncio.to_thread(sweeper.sweep)
            if loop.time() - tidied_at >= TIDY_SECONDS:
                tidied_at = loop.time()
                await asyncio.to_thread(sweeper.forget_the_old)
                await asyncio.to_thread(sweep_uploads, services)


def _note_key_uses(services: Services) -> None:
    used = services.key_uses.take_due()
    if used:
        services.database.do(lambda session: note_uses(session, used))


@contextlib.contextmanager
def _faults_logged(step: str) -> Iterator[None]:
    """Go on after whatever went wrong: a task that ended would ring and sweep no more, and nobody would know."""
    try:
        yield
    except Exception:
        log.exception("background.failed", step=step)
