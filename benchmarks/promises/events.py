"""Event streams that are cut: connections are reset at any byte, and each tenth time the server is killed as well."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from typing import Any, Final

from benchmarks.promises.site import Site, Tenant, submit
from core.jobs import Claim, Progress, beat, finish

CUTS: Final = 50
KILL_EACH: Final = 10
NEWS_SECONDS: Final = 0.02
RESET: Final = struct.pack("ii", 1, 0)
SEED: Final = 0


def show_events(site: Site) -> dict[str, Any]:
    """Follow a job through its cuts to the end; return how many events were lost and how many came twice."""
    draw, tenant = random.Random(SEED), site.new_tenant(1)
    with site.client(tenant) as client:
        job_id = submit(client, tenant)
    site.inspect()
    claimed = site.claim("cpu")
    assert claimed is not None
    enough = threading.Event()
    worker = threading.Thread(target=_work, args=(site, claimed, enough))
    worker.start()
    seen: list[int] = []
    cuts = kills = 0
    state = None
    while state is None:
        bytes_left = draw.randrange(200, 4000) if cuts < CUTS else None
        state = _follow(site, tenant, job_id, seen, bytes_left)
        if state is None:
            cuts += 1
            if cuts % KILL_EACH == 0:
                site.kill()
                kills += 1
        if cuts >= CUTS:
            enough.set()
    worker.join()
    told = _all(site, tenant, job_id)
    return {
        "cuts": cuts,
        "server_kills": kills,
        "events": len(told),
        "lost": len(set(told) - set(seen)),
        "seen_twice": len(seen) - len(set(seen)),
        "in_order": seen == sorted(seen),
        "ended_as": state,
    }


def _follow(site: Site, tenant: Tenant, job_id: str, seen: list[int], bytes_left: int | None) -> str | None:
    """Read a stream up to a byte, then reset the connection; return the state that its end tells, or None."""
    head = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {tenant.key}\r\nLast-Event-ID: {seen[-1] if seen else 0}\r\n\r\n"
    heard = b""
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
        connection.sendall(head.encode())
        while bytes_left is None or len(heard) < bytes_left:
            got = connection.recv(4096 if bytes_left is None else min(4096, bytes_left - len(heard)))
            if not got:
                break
            heard += got
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    if heard and not heard.startswith(b"HTTP/1.1 200 "[: len(heard)]):
        raise RuntimeError(f"the stream was answered with {heard[:300]!r}")
    return _take(_unchunked(heard), seen)


def _take(heard: bytes, seen: list[int]) -> str | None:
    """Note the ids of the events that came whole; return the state where one was the end."""
    for block in heard.split(b"\n\n")[:-1]:
        fields = dict(
            line.split(b": ", 1) for line in block.splitlines() if b": " in line and not line.startswith(b":")
        )
        if fields.get(b"event") == b"end":
            return str(json.loads(fields[b"data"])["state"])
        if b"id" in fields:
            seen.append(int(fields[b"id"]))
    return None


def _unchunked(heard: bytes) -> bytes:
    """Return the body of an answer in chunks as far as it came; what is left of a half chunk is part of it."""
    _, _, rest = heard.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, found, rest = rest.partition(b"\r\n")
        if not found:
            break
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


def _all(site: Site, tenant: Tenant, job_id: str) -> list[int]:
    """Return the number of every event that the job's history has."""
    told: list[int] = []
    with site.client(tenant) as client:
        while events := client.get(f"/v1/jobs/{job_id}/events", params={"after": told[-1] if told else 0}).json()[
            "events"
        ]:
            told += [event["seq"] for event in events]
    return told


def _work(site: Site, claimed: Claim, enough: threading.Event) -> None:
    """Tell something new all the time, as a worker does, until there were cuts enough."""
    number = 0
    while not enough.is_set():
        number += 1
        with site.database.transaction() as session:
            beat(session, claimed, Progress(f"stage {number}", min(number / 1e5, 1.0), 60.0, "at work"))
        time.sleep(NEWS_SECONDS)
    with site.database.transaction() as session:
        finish(session, claimed, outcome="target_met", report={}, delivered=[])
