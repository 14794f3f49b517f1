"""A job's log as one text that only grows: a line for each event and, where an attempt left one, what the engine wrote.

Keys and passwords are taken out of all of it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

import orjson
from fastapi import Request, Response

from app.artifacts.ranges import asked_span
from app.deps import Tenant
from app.errors import Problem
from core.db import Record
from core.logging import redact
from core.queries import artifacts_statement, events_statement
from core.storage.base import BlobMissing

PAGE_EVENTS: Final = 500
MEDIA_TYPE: Final = "text/plain; charset=utf-8"


async def answer(request: Request, tenant: Tenant, job: Record) -> Response:
    """Send the log, or the range of its bytes that is asked for."""
    content = redact(await text_of(tenant, job["id"])).encode()
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    asked = request.headers
    if "If-Match" in asked and asked["If-Match"] != "*" and etag not in asked["If-Match"]:
        raise Problem("precondition-failed", "The log has grown, or it is another one. Ask without If-Match.")
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
    if etag in asked.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    span = asked_span(asked.get("Range"), asked.get("If-Range"), etag, len(content))
    if span is None:
        return Response(content, headers=headers, media_type=MEDIA_TYPE)
    headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{len(content)}"
    return Response(content[span.start : span.stop], 206, headers=headers, media_type=MEDIA_TYPE)


async def text_of(tenant: Tenant, job_id: str) -> str:
    """Put the whole history of a job into lines; an attempt's own log stands where the history tells of it."""
    logs = {
        row["id"]: row["sha256"]
        for row in await tenant.fetch_all(artifacts_statement, job_id=job_id)
        if row["role"] == "log"
    }
    parts: list[str] = []
    after = 0
    while events := await tenant.fetch_all(events_statement, job_id=job_id, after=after, limit=PAGE_EVENTS):
        for event in events:
            parts.append(_line(event))
            if event["data"].get("id") in logs:
                parts.append(await _written(tenant, logs[event["data"]["id"]]))
        after = events[-1]["seq"]
    return "".join(parts)


async def _written(tenant: Tenant, sha256: str) -> str:
    """Return what the engine wrote in one attempt, indented, so that it is not taken for ours."""
    try:
        chunks = [chunk async for chunk in tenant.services.storage.stream(sha256)]
    except BlobMissing:
        return "    (no longer stored)\n"
    text = b"".join(chunks).decode(errors="replace")
    return "".join(f"    {line}\n" for line in text.splitlines())


def _line(event: Record) -> str:
    at: datetime = event["at"]
    moment = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = " ".join(_told(event["type"], dict(event["data"])))
    return f"{moment} {event['type']:<12} {said}\n"


def _told(kind: str, data: dict[str, Any]) -> list[str]:
    """Return the words of one event: first what it is about, then the rest as `name=value`."""
    first = {"job.state": "state", "job.progress": "stage", "job.artifact": "name"}.get(kind, "")
    words = [str(data.pop(first))] if first in data else []
    return words + [f"{name}={_value(value)}" for name, value in data.items() if value is not None]


def _value(value: object) -> str:
    return value if isinstance(value, str) and " " not in value else orjson.dumps(value).decode()
