"""Puts a file's parts into the server's store, by addresses that the server signs; what is there is not put again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from client.connection import Connection
from client.errors import Refused

AT_ONCE = 4
READING_SECONDS = 600.0
"""The server reads the whole file before it says that it is complete."""


def put_parts(connection: Connection, path: Path, upload_id: str, on_done: Callable[[int], None]) -> None:
    """Put what is missing until nothing is, and have the server check it; `on_done(bytes)` hears of progress."""
    patience = connection.new_patience()
    with _workers() as workers:
        while True:
            signed = connection.request("POST", f"/v1/uploads/{upload_id}/parts").json()
            parts = signed["parts"]
            if not parts:
                break
            tries = workers.map(lambda part: _put(connection, path, part), parts)
            faults = []
            for part, fault in zip(parts, tries, strict=True):
                if fault is None:
                    patience.reset()
                    on_done(part["start_byte"] + part["size_bytes"])
                else:
                    faults.append(fault)
            if faults:
                connection.pause(patience, faults[0])
    _complete(connection, path, upload_id, on_done)


def _put(connection: Connection, path: Path, part: dict[str, Any]) -> httpx2.TransportError | None:
    """Put one part; return what went wrong, if trying again may heal it."""
    with path.open("rb") as file:
        file.seek(part["start_byte"])
        content = file.read(part["size_bytes"])
    try:
        response = connection.put_elsewhere(part["url"], content)
    except httpx2.TransportError as error:
        return error
    if response.status_code < 400:
        return None
    return httpx2.TransportError(f"the store answered {response.status_code} to part {part['part_number']}")


def _complete(connection: Connection, path: Path, upload_id: str, on_done: Callable[[int], None]) -> None:
    try:
        connection.request("POST", f"/v1/uploads/{upload_id}/complete", timeout=READING_SECONDS)
    except Refused as refusal:
        if refusal.problem.code != "upload-incomplete":
            raise
        put_parts(connection, path, upload_id, on_done)


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Give threads; who is interrupted waits for the parts under way, and for no others."""
    workers = ThreadPoolExecutor(AT_ONCE)
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)
