"""From a request's body to a stored file: the checks before the first byte, the bytes, the checks after the last."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import Request

from app.deps import Tenant
from app.errors import Problem
from app.services import Services
from app.uploads import service
from app.uploads.digests import check_sha256
from app.uploads.partfile import PartFile, PartLost
from app.uploads.receive import Checkpoint, receive, too_large
from core.blobs import publish
from core.db import Record
from core.ids import new_id

PART_TYPE = "application/partial-upload"


async def receive_whole(tenant: Tenant, request: Request, filename: str, declared: str | None) -> Record:
    """Take the body as one file and store it; nothing is left of it if anything fails."""
    services = tenant.services
    _check_length(_content_length(request), services.settings.max_upload_bytes)
    path = services.part_folder / f"{new_id('put')}.part"
    try:
        file = await _gather(services, request, path)
        check_sha256(file.sha256, declared)
        await asyncio.to_thread(publish, services.database, services.storage, path, file.sha256)
    finally:
        service.discard_part(services, path)
    whole: dict[str, Any] = {"filename": filename, "size_bytes": file.offset, "sha256": file.sha256}
    max_age = services.settings.upload_max_age_seconds
    return await tenant.write(
        lambda session, project_id: service.create_complete(session, project_id, **whole, max_age_seconds=max_age)
    )


async def _gather(services: Services, request: Request, path: Path) -> PartFile:
    """Receive the whole body into `path`."""
    limit_bytes = services.settings.max_upload_bytes
    async with services.turns.alone(path.stem) as turn:
        with PartFile(path, 0, services.hashes) as file:
            file.recount()
            await receive(
                request.stream(),
                file,
                turn,
                limit_bytes=limit_bytes,
                over_limit=lambda _found: too_large(limit_bytes),
                checkpoint=_nothing,
            )
    if file.offset == 0:
        raise empty()
    return file


async def append_part(tenant: Tenant, request: Request, upload_id: str) -> Record:
    """Append the body to an upload at its offset; store the file when it is whole. What came before a cut is kept."""
    offset, says_last = _part_headers(request)
    async with tenant.services.turns.alone(upload_id) as turn:
        upload = await _read(tenant, upload_id)
        is_complete, length = upload["completed_at"] is not None, _content_length(request)
        if is_complete and offset == upload["offset_bytes"] and not length:
            return upload  # the answer to the last part was lost on its way
        if is_complete or offset != upload["offset_bytes"]:
            raise _mismatch(upload["offset_bytes"], offset)
        _check_part(upload, offset, length, says_last=says_last)
        with await _open(tenant, upload_id, offset) as file:
            await asyncio.to_thread(file.recount)
            size_bytes: int = upload["size_bytes"]
            await receive(
                request.stream(),
                file,
                turn,
                limit_bytes=size_bytes,
                over_limit=lambda found: _length_mismatch(size_bytes, found),
                checkpoint=_checkpoint(tenant, upload_id),
            )
        if file.offset == size_bytes:
            await _store(tenant, upload, file)
        elif says_last:
            raise _length_mismatch(size_bytes, file.offset)
    return await _read(tenant, upload_id)


def empty() -> Problem:
    """Say that a file without bytes is no use here."""
    return Problem("upload-empty", "The body has no bytes. Check the path: curl sends an empty body for an empty file.")


async def _read(tenant: Tenant, upload_id: str) -> Record:
    return await tenant.get(service.upload_statement, "upload", upload_id, upload_id=upload_id)


async def _open(tenant: Tenant, upload_id: str, offset: int) -> PartFile:
    """Open the part file, here and not in a thread: were this request ended meanwhile, its lock would stay behind."""
    services = tenant.services
    path = service.part_path(services, upload_id)
    try:
        return PartFile(path, offset, services.hashes)
    except PartLost as lost:
        await asyncio.to_thread(service.set_offset, services, upload_id, lost.size_bytes)
        raise _mismatch(lost.size_bytes, offset) from lost


async def _store(tenant: Tenant, upload: Record, file: PartFile) -> None:
    """Publish a whole file. One with the wrong digest is thrown away, and the upload begins again at 0."""
    services = tenant.services
    try:
        check_sha256(file.sha256, upload["expected_sha256"])
    except Problem:
        service.discard_part(services, file.path)
        await asyncio.to_thread(service.set_offset, services, upload["id"], 0)
        raise
    await asyncio.to_thread(publish, services.database, services.storage, file.path, file.sha256)
    services.hashes.forget(file.path)
    await tenant.write(lambda session, _project_id: service.complete(session, upload["id"], file.offset, file.sha256))


def _checkpoint(tenant: Tenant, upload_id: str) -> Checkpoint:
    return lambda offset: service.set_offset(tenant.services, upload_id, offset)


def _nothing(_offset: int) -> None:
    """A one-shot upload cannot be resumed, so nobody asks how far it came."""


def _content_length(request: Request) -> int | None:
    value = request.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _check_length(length: int | None, limit_bytes: int) -> None:
    if length == 0:
        raise empty()
    if length is not None and length > limit_bytes:
        raise too_large(limit_bytes)


def _part_headers(request: Request) -> tuple[int, bool]:
    """Return the offset and whether the client says that this is the last part."""
    kind = request.headers.get("Content-Type", PART_TYPE).partition(";")[0].strip().lower()
    if kind != PART_TYPE:
        raise Problem("unsupported-media-type", f"Found Content-Type {kind[:80]}. Send a part as {PART_TYPE}.")
    offset = request.headers.get("Upload-Offset", "")
    if not offset.isdigit() or len(offset) > 18:
        raise _bad_header("Upload-Offset", "a number of bytes, such as 0")
    complete = request.headers.get("Upload-Complete", "?0").strip()
    if complete not in ("?0", "?1"):
        raise _bad_header("Upload-Complete", "?1 for the last part and ?0 for every other")
    return int(offset), complete == "?1"


def _bad_header(name: str, form: str) -> Problem:
    detail = f"{name}: expected {form}."
    return Problem("validation-failed", detail, errors=[{"header": name, "code": "bad-header", "detail": detail}])


def _check_part(upload: Record, offset: int, length: int | None, *, says_last: bool) -> None:
    """Refuse before the first byte what cannot add up."""
    size_bytes = upload["size_bytes"]
    if length is None:
        return
    if offset + length > size_bytes or (says_last and offset + length != size_bytes):
        raise _length_mismatch(size_bytes, offset + length)


def _length_mismatch(declared: int, found: int) -> Problem:
    detail = (
        f"The upload was declared with {declared} bytes; with this part it would end at {found}. Send the missing part."
    )
    if found > declared:
        detail = f"The upload was declared with {declared} bytes; this part would make it {found}. Make a new upload."
    return Problem("upload-length-mismatch", detail, declared_bytes=declared, found_bytes=found)


def _mismatch(expected: int, provided: int) -> Problem:
    detail = f"The upload stands at {expected}, not at {provided}. Go on from byte {expected}."
    return Problem(
        "upload-offset-mismatch",
        detail,
        headers={"Upload-Offset": str(expected)},
        expected_offset=expected,
        provided_offset=provided,
    )
