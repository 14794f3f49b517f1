"""Stored bytes as a response: ranges, tags and digests, for the API and for the dashboard's links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import Headers

from app.artifacts.ranges import Span, asked_span
from app.errors import Problem
from app.uploads.digests import repr_digest
from core.db import Record
from core.storage.base import BlobMissing, Storage


async def content_of(
    request: Request, storage: Storage, artifact: Record, signed_seconds: int | None = None
) -> Response:
    """Return the stored bytes that a request asks for, with all that a careful client checks.

    With `signed_seconds` a client is sent to the store itself, where that has signed addresses, for so long.
    """
    etag = f'"{artifact["sha256"]}"'
    headers = _headers(artifact, etag)
    asked = request.headers
    if "If-Match" in asked and asked["If-Match"] != "*" and etag not in asked["If-Match"]:
        raise Problem("precondition-failed", f"The file's ETag is {etag}, not {asked['If-Match'][:80]}.")
    if etag in asked.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    size_bytes: int = artifact["size_bytes"]
    span = asked_span(asked.get("Range"), asked.get("If-Range"), etag, size_bytes)
    status = 200 if span is None else 206
    if span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size_bytes}"
    if signed_seconds is not None and request.method == "GET" and _may_go_elsewhere(asked, etag):
        address = await _address(storage, artifact, signed_seconds)
        if address is not None:
            return Response(status_code=307, headers=_on_the_way(headers, address))
    span = span or Span(0, size_bytes)
    headers["Content-Length"] = str(span.length)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=artifact["media_type"])
    chunks = await _begun(storage, artifact, span)
    return StreamingResponse(chunks, status, headers=headers, media_type=artifact["media_type"])


def _may_go_elsewhere(asked: Headers, etag: str) -> bool:
    """Stores know ranges but not `If-Range`: who names another file there is given the whole of this one by us."""
    return "If-Range" not in asked or asked["If-Range"].strip() == etag


async def _address(storage: Storage, artifact: Record, seconds: int) -> str | None:
    """Return where the store itself sends the bytes, if it has addresses; missing bytes are a problem."""
    name, media_type = artifact["name"].rpartition("/")[2], artifact["media_type"]
    address = storage.download_url(artifact["sha256"], name=name, media_type=media_type, seconds=seconds)
    if address is not None and not await asyncio.to_thread(storage.exists, artifact["sha256"]):
        raise _gone(artifact)
    return address


def _on_the_way(headers: dict[str, str], address: str) -> dict[str, str]:
    """Keep what a client checks the bytes by; the address itself is a secret for as long as it works."""
    kept = {name: headers[name] for name in ("ETag", "Repr-Digest")}
    return kept | {"Location": address, "Cache-Control": "no-store"}


def _gone(artifact: Record) -> Problem:
    message = f"The bytes of {artifact['name']} are no longer stored. Run the job again (POST …/retry)."
    return Problem("artifact-gone", message)


async def _begun(storage: Storage, artifact: Record, span: Span) -> AsyncIterator[bytes]:
    """Read the first chunk before the status is sent: a missing file must be a problem, not a cut."""
    chunks = storage.stream(artifact["sha256"], span.start, span.stop)
    try:
        first = await anext(chunks, b"")
    except BlobMissing as error:
        raise _gone(artifact) from error
    return _chain(first, chunks)


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _headers(artifact: Record, etag: str) -> dict[str, str]:
    return {
        "ETag": etag,
        "Repr-Digest": repr_digest(artifact["sha256"]),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(artifact["name"]),
    }


def disposition(name: str) -> str:
    """Ask the browser to save the file: a plain name for old clients, the exact one, encoded, for all others."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name).strip(". ") or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
