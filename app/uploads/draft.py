"""The draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload-12): its headers, both ways.

Interim responses (104) are left out, which ASGI cannot send: a client that begins with an empty POST, or sends an
`Idempotency-Key` with its first bytes and asks again, learns the upload's address without them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from fastapi import Request, Response
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Tenant
from app.envelope import lift_body_limit
from app.errors import Problem
from app.idempotency import Answer, once
from app.uploads import refusals, service
from app.uploads.append import Piece, append, content_length
from app.uploads.digests import declared_sha256, repr_digest
from app.uploads.fields import boolean, integer
from app.uploads.quota import check_size
from app.uploads.schemas import UploadRequest
from app.uploads.seals import content_seal
from core.db import Record

PART_TYPE = "application/partial-upload"
EXACT_NAME = re.compile(r"filename\*\s*=\s*UTF-8'[^']*'([^;\s]+)", re.IGNORECASE)
PLAIN_NAME = re.compile(r'(?:^|;)\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^";\s]+))', re.IGNORECASE)


async def begin(tenant: Tenant, request: Request, asked: UploadRequest) -> Response:
    """Make an upload that has no bytes yet, or, if the project has them, all; once for each Idempotency-Key."""
    check_size(tenant, asked.size_bytes)
    max_age_seconds = tenant.services.settings.upload_max_age_seconds

    def work(session: Session, project_id: str) -> Answer:
        upload = service.create(session, project_id, asked, max_age_seconds)
        return Answer(201, service.upload_view(tenant.services, upload), f"/v1/uploads/{upload['id']}")

    return await once(tenant, request, asked.model_dump(), work)


async def create_with_content(request: Request, tenant: Tenant) -> Response:
    """Make an upload and take the request's content as its first bytes, or as all of them."""
    lift_body_limit(request)
    is_last = boolean(request.headers, "Upload-Complete")
    if is_last is None:
        raise refusals.bad_header(
            "Upload-Complete", "?1 when the content is the whole file and ?0 when more is to come"
        )
    length = content_length(request.headers)
    if is_last and length == 0:
        raise refusals.empty()
    response = await begin(tenant, request, _asked(request, length if is_last else None))
    upload_id = response.headers["Location"].rpartition("/")[2]
    upload = await service.upload_row(tenant, upload_id)
    if length != 0 and upload["completed_at"] is None and upload["offset_bytes"] == 0:
        upload = await append(tenant, request, upload_id, Piece(0, is_last, seal=content_seal(request.headers)))
    if upload["error"] is not None:
        raise refusals.failed(upload)
    # A creation that is replayed tells how far the upload is by now: the client goes on from there with PATCH.
    return _told(tenant, upload, 201)


async def append_part(request: Request, tenant: Tenant, upload_id: str) -> Response:
    """Append bytes at `Upload-Offset`; 204 while more is to come, 200 once the file is complete."""
    lift_body_limit(request)
    kind = request.headers.get("Content-Type", PART_TYPE).partition(";")[0].strip().lower()
    if kind != PART_TYPE:
        raise Problem("unsupported-media-type", f"Found Content-Type {kind[:80]}. Send a part as {PART_TYPE}.")
    offset = integer(request.headers, "Upload-Offset")
    if offset is None:
        raise refusals.bad_header("Upload-Offset", "a number of bytes, such as 0")
    is_last = boolean(request.headers, "Upload-Complete")
    if is_last is None:
        raise refusals.bad_header("Upload-Complete", "?1 for the last part and ?0 for every other")
    size_bytes = integer(request.headers, "Upload-Length")
    piece = Piece(offset, is_last, size_bytes, content_seal(request.headers))
    upload = await append(tenant, request, upload_id, piece)
    if upload["completed_at"] is None:
        return Response(status_code=204, headers=standing(upload))
    return _told(tenant, upload, 200)


async def tell_offset(tenant: Tenant, upload_id: str) -> Response:
    """Tell the offset to go on from. Who is still writing is ended first, so that the offset stays true."""
    await service.upload_row(tenant, upload_id)
    upload = await quiet_row(tenant, upload_id)
    return Response(status_code=204, headers=standing(upload) | {"Upload-Limit": limits(tenant, upload)})


async def quiet_row(tenant: Tenant, upload_id: str) -> Record:
    """Return an upload to which nobody writes any more, neither here nor in another process."""
    await tenant.services.turns.interrupt(upload_id)
    upload = await service.upload_row(tenant, upload_id)
    if upload["writer"] is not None:
        await tenant.services.database.write(lambda session: service.end_writing(session, upload_id))
        upload = await service.upload_row(tenant, upload_id)
    if upload["error"] is not None:
        raise refusals.failed(upload)
    return upload


def standing(upload: Record) -> dict[str, str]:
    """Say how far an upload is, as headers."""
    is_complete = upload["completed_at"] is not None
    headers = {"Upload-Offset": str(upload["offset_bytes"]), "Upload-Complete": "?1" if is_complete else "?0"}
    if upload["size_bytes"] is not None:
        headers["Upload-Length"] = str(upload["size_bytes"])
    if upload["sha256"] is not None:
        headers["Repr-Digest"] = repr_digest(upload["sha256"])
    return headers | {"Cache-Control": "no-store"}


def limits(tenant: Tenant, upload: Record | None = None) -> str:
    """Return the limits of all uploads, or of one, with the time that is left for it, as `Upload-Limit` has them."""
    settings = tenant.services.settings
    age_seconds = settings.upload_max_age_seconds
    if upload is not None:
        age_seconds = max(0, int((upload["expires_at"] - datetime.now(UTC)).total_seconds()))
    return f"max-size={settings.max_upload_bytes}, min-size=1, max-age={age_seconds}"


def _told(tenant: Tenant, upload: Record, status: int) -> Response:
    headers = standing(upload) | {"Upload-Limit": limits(tenant, upload), "Location": f"/v1/uploads/{upload['id']}"}
    return json_answer(service.upload_view(tenant.services, upload), status, headers)


def _asked(request: Request, whole_bytes: int | None) -> UploadRequest:
    """Read what the draft says in headers. The file's size may be told in two ways, which must agree."""
    size_bytes = integer(request.headers, "Upload-Length")
    if whole_bytes is not None and size_bytes is not None and size_bytes != whole_bytes:
        raise refusals.other_length(size_bytes, whole_bytes)
    if 0 in (size_bytes, whole_bytes):
        raise refusals.empty()
    return request_of(
        {
            "filename": _filename(request),
            "size_bytes": size_bytes or whole_bytes,
            "sha256": declared_sha256(request.headers),
            "kind": request.query_params.get("kind"),
        }
    )


def request_of(values: dict[str, Any]) -> UploadRequest:
    """Check what was told in headers as JSON would be."""
    try:
        return UploadRequest.model_validate(values)
    except ValidationError as error:
        wrong = [
            {"parameter": str(found["loc"][0]), "code": found["type"].replace("_", "-"), "detail": found["msg"]}
            for found in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise Problem("validation-failed", f"{wrong[0]['parameter']}: {wrong[0]['detail']}", errors=wrong) from error


def _filename(request: Request) -> str:
    """Return the name in `Content-Disposition`, else that in the query, else one that says where it came from."""
    header = request.headers.get("Content-Disposition", "")
    exact = EXACT_NAME.search(header)
    if exact:
        return unquote(exact.group(1))
    plain = PLAIN_NAME.search(header)  # the standard library's parser raises on charsets and numbers that it is sent
    told = re.sub(r"\\(.)", r"\1", plain.group(1) or plain.group(2) or "") if plain else ""
    return told or request.query_params.get("filename") or "upload.bin"
