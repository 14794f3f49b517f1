"""`/v1/artifacts`: what a job delivered, resumable and checkable byte for byte."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app.answers import json_answer
from app.artifacts.ranges import Span, asked_span
from app.artifacts.schemas import ArtifactsList, ArtifactView
from app.deps import Reader, Tenant
from app.errors import Problem
from app.jobs.service import job_row
from app.openapi import CONTENT, RANGES, problems
from app.uploads.digests import repr_digest
from core.db import Record
from core.queries import artifact_statement, artifacts_statement
from core.storage.base import BlobMissing

router = APIRouter(prefix="/v1", tags=["artifacts"], responses=problems(401, 403, 404))

CONTENT_RESPONSES = CONTENT | problems(410, 412, 416)


@router.get("/jobs/{job_id}/artifacts", response_model=ArtifactsList)
async def list_artifacts(job_id: str, tenant: Reader) -> Response:
    """List what a job has delivered."""
    await job_row(tenant, job_id)
    rows = await tenant.fetch_all(artifacts_statement, job_id=job_id)
    return json_answer({"artifacts": [artifact_view(row) for row in rows]})


@router.get("/artifacts/{artifact_id}", response_model=ArtifactView)
async def get_artifact(artifact_id: str, tenant: Reader) -> Response:
    """Show one artifact."""
    return json_answer(artifact_view(await _artifact(tenant, artifact_id)))


@router.get(
    "/artifacts/{artifact_id}/content", response_class=Response, responses=CONTENT_RESPONSES, openapi_extra=RANGES
)
async def get_content(request: Request, artifact_id: str, tenant: Reader) -> Response:
    """Download an artifact, or a range of it. The ETag is its sha256."""
    return await content_of(request, tenant, await _artifact(tenant, artifact_id))


@router.head(
    "/artifacts/{artifact_id}/content", response_class=Response, responses=CONTENT_RESPONSES, openapi_extra=RANGES
)
async def head_content(request: Request, artifact_id: str, tenant: Reader) -> Response:
    """Tell an artifact's size and digest."""
    return await content_of(request, tenant, await _artifact(tenant, artifact_id))


def artifact_view(row: Record) -> dict[str, Any]:
    """Return an artifact as clients see it."""
    view = {name: row[name] for name in ArtifactView.model_fields if name != "links"}
    return view | {"links": {"content": f"/v1/artifacts/{row['id']}/content"}}


async def content_of(request: Request, tenant: Tenant, artifact: Record) -> Response:
    """Return the stored bytes that a request asks for, with all that a careful client checks."""
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
    span = span or Span(0, size_bytes)
    headers["Content-Length"] = str(span.length)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=artifact["media_type"])
    chunks = tenant.services.storage.stream(artifact["sha256"], span.start, span.stop)
    try:
        first = await anext(chunks, b"")  # before the status is sent: a missing file must be a problem, not a cut
    except BlobMissing as error:
        message = f"The bytes of {artifact['name']} are no longer stored. Run the job again (POST …/retry)."
        raise Problem("artifact-gone", message) from error
    return StreamingResponse(_chain(first, chunks), status, headers=headers, media_type=artifact["media_type"])


async def _artifact(tenant: Tenant, artifact_id: str) -> Record:
    return await tenant.get(artifact_statement, "artifact", artifact_id, artifact_id=artifact_id)


async def _chain(first: bytes, rest: Any) -> Any:
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
