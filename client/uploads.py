"""Brings a file to the server so that neither a cut connection, a restarted server nor a killed client starts it over.

The draft "Resumable Uploads for HTTP": POST makes the upload, HEAD tells its offset, PATCH appends. Where the server
offers it, the bytes go to its store in parts instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx2

from client.connection import Connection
from client.errors import Refused, UsageError
from client.parts import OutOfReach, put_parts
from client.patience import Patience

CHUNK_BYTES = 8 * 1024**2
"""So much is sent in one request, and so much at most is sent twice after a cut."""

FRESH_STARTS = 2
GONE = frozenset({404, 410})

Advance: TypeAlias = Callable[[int, int], None]
"""Hears (done_bytes, total_bytes) while a file travels."""


@dataclass(frozen=True)
class _Standing:
    """How far an upload has come on the server's side."""

    offset_bytes: int
    is_complete: bool


def upload(
    connection: Connection,
    path: Path,
    *,
    kind: Literal["model", "dataset"] | None = None,
    on_bytes: Advance | None = None,
) -> str:
    """Bring the file to the server and return the upload's id; `on_bytes(done, total)` hears of progress.

    Nothing is sent when the server knows these bytes already. The request that makes the upload carries a key that is
    derived from the bytes, so a client that was killed finds its half-sent upload again. An upload that the server has
    given up, or forgotten, begins anew, as does one whose store is out of reach: its bytes then go to the server.
    """
    size_bytes, sha256 = _size_and_sha256(path)
    body = {"filename": path.name, "size_bytes": size_bytes, "sha256": sha256} | ({"kind": kind} if kind else {})
    advance = on_bytes or (lambda _done, _total: None)
    created = connection.post("/v1/uploads", body, idempotency_key=_resuming_key(body)).json()
    for _ in range(FRESH_STARTS):
        try:
            _send(connection, path, size_bytes, created, advance)
        except OutOfReach:
            connection.request("DELETE", f"/v1/uploads/{created['id']}")
            created = connection.post("/v1/uploads", body).json() | {"direct": False}
        except Refused as refusal:
            if refusal.problem.status not in GONE:
                raise
            created = connection.post("/v1/uploads", body).json()
        else:
            return str(created["id"])
    _send(connection, path, size_bytes, created, advance)
    return str(created["id"])


def _size_and_sha256(path: Path) -> tuple[int, str]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        size_bytes = path.stat().st_size
    except OSError as error:
        raise UsageError(f"The file cannot be read: {error.strerror}.", where=str(path)) from error
    if not size_bytes:
        raise UsageError("The file is empty.", where=str(path), what_to_do="Export or copy it again.")
    return size_bytes, digest.hexdigest()


def _resuming_key(body: dict[str, object]) -> str:
    """Name the upload by what is in it: the same file asked for again meets the same upload."""
    text = "\n".join(str(value) for value in body.values())
    return "upload-" + hashlib.sha256(text.encode()).hexdigest()


def _send(connection: Connection, path: Path, size_bytes: int, created: dict[str, Any], advance: Advance) -> None:
    """Send what the server has not, the way that it offers. Raises Refused with 404 or 410 where it takes no more."""
    standing = _standing(connection, created["id"])
    if created.get("direct") and not standing.is_complete and not standing.offset_bytes:
        put_parts(connection, path, created["id"], lambda done: advance(done, size_bytes))
    else:
        _send_rest(connection, path, size_bytes, created["id"], standing, advance)
    advance(size_bytes, size_bytes)


def _standing(connection: Connection, upload_id: str) -> _Standing:
    return _told(connection.request("HEAD", f"/v1/uploads/{upload_id}"))


def _told(response: httpx2.Response) -> _Standing:
    return _Standing(int(response.headers["Upload-Offset"]), response.headers.get("Upload-Complete") == "?1")


def _send_rest(
    connection: Connection, path: Path, size_bytes: int, upload_id: str, standing: _Standing, advance: Advance
) -> None:
    """Append chunk after chunk; after any fault ask where the server stands and go on from there."""
    patience = connection.new_patience()
    with path.open("rb") as file:
        while not standing.is_complete:
            advance(standing.offset_bytes, size_bytes)
            file.seek(standing.offset_bytes)
            chunk = file.read(CHUNK_BYTES)
            answer = _append(connection, patience, upload_id, standing.offset_bytes, chunk, size_bytes)
            before, standing = standing, answer or _standing(connection, upload_id)
            if standing.offset_bytes > before.offset_bytes:
                patience.reset()


def _append(
    connection: Connection, patience: Patience, upload_id: str, offset_bytes: int, chunk: bytes, size_bytes: int
) -> _Standing | None:
    """Send one chunk and return where the server then stands; None after a fault that asking for that may heal."""
    is_last = offset_bytes + len(chunk) >= size_bytes
    headers = {
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset_bytes),
        "Upload-Complete": "?1" if is_last else "?0",
    }
    try:
        response = connection.send_once("PATCH", f"/v1/uploads/{upload_id}", content=chunk, headers=headers)
    except httpx2.TransportError as error:
        connection.pause(patience, error)
        return None
    if response.status_code >= 400:
        connection.pause_for(
            patience, response, healed_by_asking=frozenset({409})
        )  # 409: another offset than we thought
        return None
    return _told(response)
