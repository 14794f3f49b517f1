"""Puts a file's parts into the server's store, by addresses that the server signs; what is there is not put again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from client.connection import Connection
from client.errors import Refused

AT_ONCE = 4
READING_SECONDS = 600.0
"""The server reads the whole file before it says that it is complete."""


class OutOfReach(Exception):
    """The store that the server names cannot be reached from here."""


def put_parts(connection: Connection, path: Path, upload_id: str, on_done: Callable[[int], None]) -> None:
    """Put what is missing until nothing is, and have the server check it; `on_done(bytes)` hears how many were put.

    Raises OutOfReach when the first part does not find its way.
    """
    patience, done_bytes = connection.new_patience(), 0
    while parts := _missing(connection, upload_id):
        at_once = parts if done_bytes else parts[:1]  # the first one shows whether there is a way
        fault = None
        with _workers() as workers:
            for part, found in zip(at_once, workers.map(partial(_put, connection, path), at_once), strict=True):
                if found is not None:
                    fault = found
                    continue
                done_bytes += part["size_bytes"]
                on_done(done_bytes)
        if not done_bytes and isinstance(fault, (httpx2.ConnectError, httpx2.ConnectTimeout)):
            raise OutOfReach from fault
        if fault is not None:
            connection.pause(patience, fault)
        else:
            patience.reset()
    try:
        connection.request("POST", f"/v1/uploads/{upload_id}/complete", timeout=READING_SECONDS)
    except Refused as refusal:
        if refusal.problem.code != "upload-incomplete":
            raise
        put_parts(connection, path, upload_id, on_done)


def _missing(connection: Connection, upload_id: str) -> list[dict[str, Any]]:
    """Return the addresses of up to a hundred parts that have not arrived."""
    return list(connection.request("POST", f"/v1/uploads/{upload_id}/parts").json()["parts"])


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


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Give threads; who is interrupted waits for the parts under way, and for no others."""
    workers = ThreadPoolExecutor(AT_ONCE)
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)
