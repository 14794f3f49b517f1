"""tus 1.0.0 (https://tus.io/protocols/resumable-upload): the same uploads and offsets in the words of its clients.

A request speaks tus when it has the header `Tus-Resumable`. Extensions: creation, creation-with-upload,
creation-defer-length, expiration, checksum, termination.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from email.utils import format_datetime
from typing import Final, TypeAlias

from fastapi import Request, Response
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException

from app.deps import Tenant, tenant_of
from app.envelope import lift_body_limit
from app.errors import Problem
from app.uploads import refusals, service
from app.uploads.append import Piece, append, content_length
from app.uploads.draft import quiet_row, request_of
from app.uploads.fields import integer
from app.uploads.quota import check_size
from app.uploads.seals import UPLOAD_CHECKSUM, tus_seal
from core.db import Record

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination"
PART_TYPE: Final = "application/offset+octet-stream"
METADATA_CHARACTERS: Final = 4000

Endpoint: TypeAlias = Callable[..., Awaitable[Response]]


def options(max_size_bytes: int) -> dict[str, str]:
    """Return what a client may want to know before it begins."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(max_size_bytes),
        "Tus-Checksum-Algorithm": ",".join(UPLOAD_CHECKSUM),
    }


async def answer(request: Request, endpoint: Endpoint) -> Response:
    """Check the version, answer, and say in which version, in refusals, too."""
    spoken = {"Tus-Resumable": VERSION}
    if request.headers["Tus-Resumable"] != VERSION:
        found = request.headers["Tus-Resumable"][:40]
        message = f"Tus-Resumable: {found} is not spoken here, {VERSION} is."
        raise Problem("precondition-failed", message, headers=spoken | {"Tus-Version": VERSION})
    try:
        scopes = ("read", "write") if request.method in ("GET", "HEAD") else ("write",)
        response = await endpoint(request, await tenant_of(request, *scopes), **request.path_params)
    except HTTPException as refusal:
        refusal.headers = dict(refusal.headers or {}) | spoken
        raise
    response.headers.update(spoken)
    return response


async def create(request: Request, tenant: Tenant) -> Response:
    """Make an upload; the content, if there is any, is its first bytes."""
    lift_body_limit(request)
    told, size_bytes = _metadata(request), integer(request.headers, "Upload-Length")
    if size_bytes is None and request.headers.get("Upload-Defer-Length") != "1":
        raise refusals.bad_header("Upload-Length", "a number of bytes, or Upload-Defer-Length: 1")
    if size_bytes == 0:
        raise refusals.empty()
    check_size(tenant, size_bytes)
    filename = told.get("filename") or told.get("name") or "upload.bin"
    asked = request_of({"filename": filename, "size_bytes": size_bytes} | _known(told, "sha256", "kind"))
    max_age_seconds = tenant.services.settings.upload_max_age_seconds

    def work(session: Session, project_id: str) -> Record:
        kept = request.headers.get("Upload-Metadata")
        return service.create(session, project_id, asked, max_age_seconds, tus_metadata=kept)

    upload = await tenant.write(work)
    if content_length(request.headers) != 0 and upload["completed_at"] is None:
        _check_type(request)
        upload = await append(tenant, request, upload["id"], Piece(0, None, seal=tus_seal(request.headers)))
    return Response(status_code=201, headers=_standing(upload) | {"Location": f"/v1/uploads/{upload['id']}"})


async def tell_offset(request: Request, tenant: Tenant, upload_id: str) -> Response:
    """Tell how far an upload is, and what the client said of it."""
    await service.upload_row(tenant, upload_id)
    upload = await quiet_row(tenant, upload_id)
    size = upload["size_bytes"]
    headers = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    if upload["tus_metadata"] is not None:
        headers["Upload-Metadata"] = upload["tus_metadata"]
    return Response(status_code=200, headers=_standing(upload) | headers | {"Cache-Control": "no-store"})


async def append_part(request: Request, tenant: Tenant, upload_id: str) -> Response:
    """Append bytes; the file is complete when they reach its length."""
    lift_body_limit(request)
    upload = await service.upload_row(tenant, upload_id)
    _check_type(request)
    offset = integer(request.headers, "Upload-Offset")
    if offset is None:
        raise refusals.bad_header("Upload-Offset", "a number of bytes, such as 0")
    is_over = upload["completed_at"] is not None and content_length(request.headers) == 0
    if not is_over or offset != upload["offset_bytes"]:
        size_bytes = integer(request.headers, "Upload-Length")
        upload = await append(tenant, request, upload_id, Piece(offset, None, size_bytes, tus_seal(request.headers)))
    return Response(status_code=204, headers=_standing(upload))


async def terminate(request: Request, tenant: Tenant, upload_id: str) -> Response:
    """Forget an upload."""
    await service.remove(tenant, await service.upload_row(tenant, upload_id))
    return Response(status_code=204)


async def by_another_method(request: Request, tenant: Tenant, upload_id: str) -> Response:
    """Do what `X-HTTP-Method-Override` asks for: some proxies let nothing but GET and POST through."""
    method = request.headers.get("X-HTTP-Method-Override", "")
    endpoint = {"PATCH": append_part, "DELETE": terminate, "HEAD": tell_offset}.get(method)
    if endpoint is None:
        raise no_method()
    return await endpoint(request, tenant, upload_id)


def no_method() -> Problem:
    """Say which methods an upload understands."""
    message = "POST here is understood from tus clients with X-HTTP-Method-Override: PATCH, DELETE or HEAD."
    return Problem("method-not-allowed", message, headers={"Allow": "GET, HEAD, PATCH, DELETE"})


ENDPOINTS: Final[dict[str, Endpoint]] = {
    "create_upload": create,
    "head_upload": tell_offset,
    "append_to_upload": append_part,
    "delete_upload": terminate,
    "post_to_upload": by_another_method,
}
"""For the names of our endpoints, those that speak tus."""


def _standing(upload: Record) -> dict[str, str]:
    expires = format_datetime(upload["expires_at"], usegmt=True)
    return {"Upload-Offset": str(upload["offset_bytes"]), "Upload-Expires": expires}


def _check_type(request: Request) -> None:
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != PART_TYPE:
        raise Problem("unsupported-media-type", f"Found Content-Type {kind[:80]}. tus sends bytes as {PART_TYPE}.")


def _metadata(request: Request) -> dict[str, str]:
    """Read `Upload-Metadata`: pairs of a key and, in base64, its value."""
    header = request.headers.get("Upload-Metadata", "")
    if len(header) > METADATA_CHARACTERS:
        raise refusals.bad_header("Upload-Metadata", f"no more than {METADATA_CHARACTERS} characters")
    pairs = [pair.strip().partition(" ") for pair in header.split(",") if pair.strip()]
    try:
        return {key: base64.b64decode(value, validate=True).decode() for key, _, value in pairs}
    except ValueError as error:  # no base64, no UTF-8, or not even ASCII
        raise refusals.bad_header(
            "Upload-Metadata", "keys and values in base64, as in 'filename bmV0Lm9ubng='"
        ) from error


def _known(told: dict[str, str], *names: str) -> dict[str, str]:
    return {name: told[name] for name in names if told.get(name)}
