"""Sends one file so that neither a cut connection, a restarted server nor a killed client starts it over.

The draft "Resumable Uploads for HTTP": POST makes the upload, HEAD tells its offset, PATCH appends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx2

from client.connection import Connection
from client.errors import Refused, UsageError
from client.patience import Patience

CHUNK_BYTES = 8 * 1024**2

Advance: TypeAlias = Callable[[int, int], None]
"""Hears (done_bytes, total_bytes) while a file travels."""


@dataclass(frozen=True)
class _Standing:
    """How far an upload has come on the server's disk."""

    offset_bytes: int
    is_complete: bool


def upload(connection: Connection, path: Path, *, on_bytes: Advance | None = None) -> str:
    """Bring the file to the server and return the upload's id; `on_bytes(done, total)` hears of progress.

    Nothing is sent when the server knows these bytes already. The request that makes the upload carries a key that is
    derived from the bytes, so a client that was killed finds its half-sent upload again.
    """
    size_bytes, sha256 = _size_and_sha256(path)
    advance = on_bytes or (lambda _done, _total: None)
    body = {"filename": path.name, "size_bytes": size_bytes, "sha256": sha256}
    created = connection.post("/v1/uploads", body, idempotency_key=_resuming_key(body)).json()
    try:
        standing = _standing(connection, created["id"])
    except Refused as refusal:
        if refusal.problem.status not in {404, 410}:
            raise
        created = connection.post("/v1/uploads", body).json()  # the half-sent one has expired; begin a new one
        standing = _standing(connection, created["id"])
    _send_rest(connection, path, size_bytes, created["id"], standing, advance)
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


def _standing(connection: Connection, upload_id: str) -> _Standing:
    response = connection.request("HEAD", f"/v1/uploads/{upload_id}")
    return _Standing(int(response.headers["Upload-Offset"]), response.headers.get("Upload-Complete") == "?1")


def _send_rest(
    connection: Connection, path: Path, size_bytes: int, upload_id: str, standing: _Standing, advance: Advance
) -> None:
    """Append chunk after chunk; after each, and after any fault, ask where the server stands and go on from there."""
    patience = connection.new_patience()
    with path.open("rb") as file:
        while not standing.is_complete:
            advance(standing.offset_bytes, size_bytes)
            file.seek(standing.offset_bytes)
            _append(connection, patience, upload_id, standing.offset_bytes, file.read(CHUNK_BYTES), size_bytes)
            before, standing = standing, _standing(connection, upload_id)
            if standing.offset_bytes > before.offset_bytes:
                patience.reset()
    advance(size_bytes, size_bytes)


def _append(
    connection: Connection, patience: Patience, upload_id: str, offset_bytes: int, chunk: bytes, size_bytes: int
) -> None:
    """Send one chunk; return also after a fault that asking for the offset and sending again may heal."""
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
        return
    if response.status_code >= 400:
        connection.pause_for(
            patience, response, healed_by_asking=frozenset({409})
        )  # 409: another offset than we thought
