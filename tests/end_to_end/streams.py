"""A job's events as a browser reads them: one connection at a time, by which it has come so far."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import httpx2


class Event(NamedTuple):
    """One server-sent event."""

    id: int
    name: str
    data: dict[str, Any]


def read_events(client: httpx2.Client, job_id: str, after: int, at_most: int = 10_000) -> list[Event]:
    """Connect with the last id that was seen, read so many events or to the stream's end, and hang up."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    seen: list[Event] = []
    fields: dict[str, str] = {}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
                continue
            if "data" in fields:
                seen.append(Event(int(fields["id"]), fields["event"], json.loads(fields["data"])))
                if len(seen) == at_most:
                    break
            fields = {}
    return seen
