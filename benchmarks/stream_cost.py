"""What open event streams cost one web process: its memory, and how much of a processor it takes to keep them."""

from __future__ import annotations

import asyncio
import resource
import time
from pathlib import Path
from typing import Final

from benchmarks.api_rows import Rows
from benchmarks.served import processor_seconds, rss_mb
from core.db import open_database
from core.jobs import Progress, beat
from core.settings import Settings

HOLD_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 120.0
AT_ONCE: Final = 50  # connections that are opened together: fewer than a listening socket lets wait


def allow_files(streams: int) -> None:
    """Let this process, and the servers that it starts from now on, hold so many connections, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < streams + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, streams + 200), hard))


def measure_streams(pid: int, port: int, rows: Rows, folder: Path, streams: int) -> dict[str, float]:
    """Open the streams, hold them, let every job move on, and see that every stream tells of it."""
    return asyncio.run(_measure(pid, port, rows, folder, streams))


async def _measure(pid: int, port: int, rows: Rows, folder: Path, streams: int) -> dict[str, float]:
    before_mb = rss_mb(pid)
    opened: list[_Stream] = []
    while len(opened) < streams:
        some = range(len(opened), min(len(opened) + AT_ONCE, streams))
        opened += await asyncio.gather(*(_Stream.open(port, rows, number) for number in some))
    await asyncio.gather(*(stream.until(b"score") for stream in opened))
    began, taken = time.monotonic(), processor_seconds(pid)
    await asyncio.sleep(HOLD_SECONDS)
    share = (processor_seconds(pid) - taken) / (time.monotonic() - began)
    held_mb = rss_mb(pid)
    began = time.monotonic()
    await asyncio.to_thread(_move_on, rows, folder)
    await asyncio.gather(*(stream.until(b"recover") for stream in opened))
    news_seconds = time.monotonic() - began
    for stream in opened:
        stream.writer.close()
    return {
        "stream_rss_mb": round(max(held_mb, rss_mb(pid)), 1),
        "stream_before_mb": round(before_mb, 1),
        "streams": streams,
        "stream_processor_share": round(share, 3),
        "stream_news_seconds": round(news_seconds, 2),
    }


class _Stream:
    """One client that follows a job."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, rows: Rows, number: int) -> _Stream:
        job_id = rows.claims[number % len(rows.claims)].job_id
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
        writer.write((head + f"Authorization: {rows.headers['Authorization']}\r\n\r\n").encode())
        return cls(reader, writer)

    async def until(self, word: bytes) -> None:
        """Read until an event names a word."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while word not in await self.reader.readuntil(b"\n"):
                pass


def _move_on(rows: Rows, folder: Path) -> None:
    """Do what the worker of every job does when its engine reaches the next stage."""
    database = open_database(Settings(data_dir=folder))
    for claim in rows.claims:
        with database.transaction() as session:
            beat(session, claim, Progress("recover", 0.7, 60.0, "round 2 of 9"))
    database.close()
