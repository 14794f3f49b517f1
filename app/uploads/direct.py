"""Files that clients put into the store themselves, in parts: their addresses, and the end, when all is checked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from app.deps import Tenant
from app.errors import Problem
from app.services import Services
from app.uploads import refusals, service
from app.uploads.append import ENDS_AN_UPLOAD
from app.uploads.digests import check_sha256
from app.uploads.kinds import check_head
from app.uploads.schemas import PARTS_AT_ONCE, PARTS_PER_UPLOAD
from core.blobs import publish_joined
from core.db import Database, Record
from core.storage.base import BlobMissing, Direct, Gathered, Part, PartsMismatch
from core.tables import Upload

MIB = 1024**2


async def addresses(tenant: Tenant, upload_id: str, numbers: list[int] | None) -> dict[str, Any]:
    """Return where to PUT the parts of these numbers; without numbers, the first hundred that have not arrived."""
    upload = await service.upload_row(tenant, upload_id)
    direct = _direct(tenant.services)
    upload = await _begun(tenant, direct, upload)
    plan = planned(upload)
    if numbers is None:
        there = {(part.number, part.size_bytes) for part in await _arrived(direct, upload)}
        numbers = [part.number for part in plan if (part.number, part.size_bytes) not in there][:PARTS_AT_ONCE]
    for number in numbers:
        if not 1 <= number <= len(plan):
            raise _bad_number(number, len(plan))
    seconds = tenant.services.settings.signed_url_seconds
    return _counted(upload, plan) | {
        "parts": [_address(direct, upload, plan[number - 1], seconds) for number in numbers],
        "expires_at": datetime.now(UTC) + timedelta(seconds=seconds),
    }


async def arrived(tenant: Tenant, upload_id: str) -> dict[str, Any]:
    """List the parts that have arrived."""
    upload = await service.upload_row(tenant, upload_id)
    direct = _direct(tenant.services)
    if upload["error"] is not None:
        raise refusals.failed(upload)
    if upload["part_bytes"] is None:
        raise Problem("state-conflict", "No addresses of parts were asked for yet (POST …/parts).")
    parts = [] if upload["completed_at"] is not None else await _arrived(direct, upload)
    views = [{"part_number": part.number, "size_bytes": part.size_bytes, "etag": part.etag} for part in parts]
    return _counted(upload, planned(upload)) | {"parts": views}


async def complete(tenant: Tenant, upload_id: str) -> Record:
    """Join the parts, check size, kind and sha256 by reading all of it, and store the file. May be asked again."""
    upload = await service.upload_row(tenant, upload_id)
    direct = _direct(tenant.services)
    if upload["completed_at"] is not None:
        return upload
    if upload["error"] is not None:
        raise refusals.failed(upload)
    if upload["part_bytes"] is None:
        raise Problem("state-conflict", "No parts of this upload went to the store. Ask for addresses: POST …/parts.")
    await tenant.services.joins.once(upload_id, lambda: _join(tenant, direct, upload))
    return await service.upload_row(tenant, upload_id)


def planned(upload: Record) -> list[Part]:
    """Return the parts of a file: all of one size, but for the last."""
    part_bytes, size_bytes = upload["part_bytes"], upload["size_bytes"]
    starts = range(0, size_bytes, part_bytes)
    return [Part(number, min(part_bytes, size_bytes - start)) for number, start in enumerate(starts, 1)]


async def _begun(tenant: Tenant, direct: Direct, upload: Record) -> Record:
    """Have the upload gather in the store. Raises `state-conflict` where bytes came another way."""
    if upload["error"] is not None:
        raise refusals.failed(upload)
    if upload["completed_at"] is not None:
        raise refusals.completed(upload)
    if upload["part_bytes"] is not None:
        return upload
    if upload["size_bytes"] is None:
        raise Problem("state-conflict", "The size of this upload is not known. Make a new one, with size_bytes.")
    smallest = -(-upload["size_bytes"] // PARTS_PER_UPLOAD)
    part_bytes = max(tenant.services.settings.direct_part_bytes, -(-smallest // MIB) * MIB)
    multipart_id = await asyncio.to_thread(direct.begin, upload["id"])
    free = (Upload.id == upload["id"], Upload.offset_bytes == 0, Upload.writer.is_(None), Upload.multipart_id.is_(None))
    change = update(Upload).where(*free, Upload.completed_at.is_(None), Upload.error.is_(None))
    change = change.values(multipart_id=multipart_id, part_bytes=part_bytes)
    begun = await tenant.services.database.write(lambda session: session.scalar(change.returning(Upload.id)))
    upload = await service.upload_row(tenant, upload["id"])
    if begun is None:
        await asyncio.to_thread(direct.abandon, upload["id"], multipart_id)
        if upload["part_bytes"] is None:
            raise Problem("state-conflict", "Bytes of this upload came with PATCH. Send the rest the same way.")
    return upload


async def _join(tenant: Tenant, direct: Direct, upload: Record) -> None:
    try:
        await _join_checked(tenant, direct, upload)
    except Problem as problem:
        if problem.code in ENDS_AN_UPLOAD | {"upload-failed"}:
            await service.fail(tenant.services, upload, problem)
        raise


async def _join_checked(tenant: Tenant, direct: Direct, upload: Record) -> None:
    services = tenant.services
    try:
        async with services.joins.reading:
            gathered = await asyncio.to_thread(_published, services.database, direct, upload)
    except BlobMissing as error:
        now = await service.upload_row(tenant, upload["id"])
        if now["completed_at"] is not None:  # another process was first
            return
        raise refusals.lost(0) from error
    await service.complete(tenant, upload, gathered.size_bytes, gathered.sha256)


def _published(database: Database, direct: Direct, upload: Record) -> Gathered:
    """Read all that was joined, check it, and make it a blob. Blocks."""
    gathered = _joined(direct, upload)
    if gathered.size_bytes != upload["size_bytes"]:
        raise refusals.other_length(upload["size_bytes"], gathered.size_bytes)
    check_head(gathered.head, upload["kind"])
    check_sha256(gathered.sha256, upload["expected_sha256"])
    publish_joined(database, direct, upload["id"], gathered)
    return gathered


def _joined(direct: Direct, upload: Record) -> Gathered:
    """Join the parts, unless a try before this one has, and read them all."""
    upload_id, multipart_id = upload["id"], upload["multipart_id"]
    try:
        parts = direct.parts(upload_id, multipart_id)
    except BlobMissing:  # joined already, by a try that broke off behind that
        return direct.read(upload_id)
    _check_parts(planned(upload), parts)
    try:
        direct.join(upload_id, multipart_id, parts)
    except PartsMismatch as error:
        message = "A part was put anew while all were being joined. Complete it again when every part is there."
        raise Problem("state-conflict", message) from error
    return direct.read(upload_id)


def _check_parts(plan: list[Part], found: list[Part]) -> None:
    """Refuse what is not exactly the parts that were planned."""
    sizes = {part.number: part.size_bytes for part in found}
    missing = [part.number for part in plan if sizes.get(part.number) != part.size_bytes]
    if missing:
        message = (
            f"{len(missing)} of {len(plan)} parts are missing, the first is {missing[0]}. PUT them, then try again."
        )
        raise Problem("upload-incomplete", message, missing_parts=missing[:PARTS_AT_ONCE])


async def _arrived(direct: Direct, upload: Record) -> Iterable[Part]:
    try:
        return await asyncio.to_thread(direct.parts, upload["id"], upload["multipart_id"])
    except BlobMissing:  # joined, and not checked to the end
        return []


def _direct(services: Services) -> Direct:
    direct = services.storage.direct
    if direct is None:
        message = "This service keeps files in a folder of its own. Send the bytes here, with PATCH or PUT."
        raise Problem("direct-upload-unavailable", message)
    return direct


def _address(direct: Direct, upload: Record, part: Part, seconds: int) -> dict[str, Any]:
    return {
        "part_number": part.number,
        "start_byte": (part.number - 1) * upload["part_bytes"],
        "size_bytes": part.size_bytes,
        "url": direct.part_url(upload["id"], upload["multipart_id"], part, seconds),
    }


def _counted(upload: Record, plan: list[Part]) -> dict[str, Any]:
    return {"part_bytes": upload["part_bytes"], "part_count": len(plan)}


def _bad_number(number: int, count: int) -> Problem:
    detail = f"There is no part {number}: this upload has parts 1 to {count}."
    errors = [{"pointer": "/part_numbers", "code": "no-such-part", "detail": detail}]
    return Problem("validation-failed", detail, errors=errors)
