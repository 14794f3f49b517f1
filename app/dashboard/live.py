"""The stream that keeps an open job page fresh: the page's own parts, rendered again whenever the job has changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import orjson
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.responses import Response

from app.dashboard import queries
from app.dashboard.job_view import load_job, view_job
from app.dashboard.render import HEADERS, part
from app.dashboard.session import is_signed_in
from app.dashboard.visit import Visit
from core.jobs import TERMINAL

PARTS = ("status", "progress", "attempts", "log")
LOOK_SECONDS = 0.5
PING_SECONDS = 15.0
LIFE_SECONDS = 600.0  # then the browser asks again, and with it whether it is still signed in


async def stream(visit: Visit) -> Response:
    """Answer with the parts that change, until the job is over."""
    job = await load_job(visit.database, visit.request.path_params["job_id"])
    headers = HEADERS | {"X-Accel-Buffering": "no"}
    return EventSourceResponse(_changes(visit, job["id"]), headers=headers)


async def _changes(visit: Visit, job_id: str) -> AsyncIterator[bytes]:
    """Give an event for each change, a ping when nothing happens, and `end` when the job is over or gone."""
    yield format_sse_event(comment="open", retry=1000)
    known: tuple[object, ...] = ()
    sent: dict[str, str] = {}
    born = spoke = time.monotonic()
    drain = visit.services.drain
    while (now := time.monotonic()) - born < LIFE_SECONDS and await is_signed_in(visit.services, visit.session):
        if drain.is_over:  # the browser comes back to another process
            return
        row = await visit.database.fetch_one(queries.version(job_id))
        if row is None or row["state"] in TERMINAL:
            yield format_sse_event(event="end", data_str="{}")
            return
        if known != (known := (row["version"], row["last_seq"])):
            parts = await _parts(visit, job_id)
            changed = {name: html for name, html in parts.items() if sent.get(name) != html}
            sent, spoke = parts, now
            yield format_sse_event(event="parts", data_str=orjson.dumps(changed).decode())
        elif now - spoke > PING_SECONDS:
            spoke = now
            yield KEEPALIVE_COMMENT
        await asyncio.sleep(LOOK_SECONDS)


async def _parts(visit: Visit, job_id: str) -> dict[str, str]:
    """Render the parts as the page would; deleted meanwhile means gone, which the next look finds."""
    context = await view_job(visit.database, job_id)
    return {name: part("job.html", name, context) for name in PARTS}
