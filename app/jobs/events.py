"""A job's history as it grows: server-sent events that can be taken up again anywhere and that have an end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import orjson
from fastapi import Request
from fastapi.responses import StreamingResponse

from app.answers import OPTIONS
from app.deps import Tenant
from app.errors import Problem
from app.identity import still_known
from core.db import Record
from core.jobs import TERMINAL
from core.queries import events_statement, job_version_statement

PAGE_EVENTS = 500
LOOK_SECONDS = 0.25
PING_SECONDS = 15.0
KEY_SECONDS = 5.0  # a revoked key's stream lasts no longer than this
RETRY_MILLISECONDS = 1000  # of a server that stops up to twice as many: not all shall come back at once
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def wants_stream(request: Request) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


def start_of(request: Request, after: int | None) -> int:
    """Return the last event that the client has seen: `Last-Event-ID` of a reconnecting client, else `?after=`."""
    header = request.headers.get("Last-Event-ID", "")
    if not header:
        return after or 0
    if not header.isascii() or not header.isdigit() or len(header) > 9:
        detail = "Last-Event-ID: expected the id of an event of this job, a number."
        raise Problem(
            "validation-failed", detail, errors=[{"header": "Last-Event-ID", "code": "int", "detail": detail}]
        )
    return int(header)


def stream(tenant: Tenant, job_id: str, after: int) -> StreamingResponse:
    """Send every event behind `after` once and in order, then `event: end` when the job has ended.

    A stream whose key is taken back just stops; coming back, the client is told why. So does every stream of a process
    that stops: another one goes on behind the last id.
    """
    return StreamingResponse(_lines(tenant, job_id, after), media_type="text/event-stream", headers=HEADERS)


async def _lines(tenant: Tenant, job_id: str, after: int) -> AsyncIterator[bytes]:
    """Look at the job before reading events: what the look saw as the last event is then there to be read."""
    clock = asyncio.get_running_loop().time
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    spoke_at = asked_at = clock()
    while True:
        if clock() - asked_at >= KEY_SECONDS:
            if not await _may_still_read(tenant):
                return
            asked_at = clock()
        seen = await tenant.fetch_one(job_version_statement, job_id=job_id)
        if seen is None:
            yield _end(after, "deleted")
            return
        while after < seen["last_seq"]:
            events = await tenant.fetch_all(events_statement, job_id=job_id, after=after, limit=PAGE_EVENTS)
            if not events:
                break
            yield b"".join(_event(event) for event in events)
            after, spoke_at = events[-1]["seq"], clock()
        if seen["state"] in TERMINAL:
            yield _end(after, seen["state"])
            return
        if tenant.services.drain.is_over:
            yield _farewell()
            return
        if clock() - spoke_at >= PING_SECONDS:
            yield b": ping\n\n"
            spoke_at = clock()
        await asyncio.sleep(LOOK_SECONDS)


async def _may_still_read(tenant: Tenant) -> bool:
    identity = await still_known(tenant.services, tenant.identity.public_id)
    return identity is not None and identity.may("jobs:read")


def _event(event: Record) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event["seq"],
        event["type"].encode(),
        orjson.dumps(
            {"seq": event["seq"], "at": event["at"], "type": event["type"], "data": event["data"]}, option=OPTIONS
        ),
    )


def _farewell() -> bytes:
    """Say when to come back; no event, so that the last id stays the client's."""
    return b": this server stops\nretry: %d\n\n" % int(RETRY_MILLISECONDS * random.uniform(1, 2))


def _end(after: int, state: str) -> bytes:
    return b"id: %d\nevent: end\ndata: %s\n\n" % (after, orjson.dumps({"state": state}))
