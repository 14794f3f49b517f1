"""A whole file in one request, as `curl -T` sends it; what is cut off is forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import Request
from sqlalchemy.orm import Session

from app.deps import Tenant
from app.uploads import refusals, service
from app.uploads.append import content_length
from app.uploads.kinds import check_head
from app.uploads.partfile import PartFile
from app.uploads.quota import check_size, room_bytes
from app.uploads.receive import Terms, receive
from app.uploads.schemas import UploadRequest
from core.db import Record
from core.ids import new_id


async def receive_whole(tenant: Tenant, request: Request, asked: UploadRequest) -> Record:
    """Take the body as one file and store it; nothing is left of it if anything fails.

    Bytes that the project has already are not waited for: a client that expects `100 Continue` then sends none.
    """
    length = content_length(request.headers)
    if length == 0:
        raise refusals.empty()
    check_size(tenant, length)
    asked = asked.model_copy(update={"size_bytes": length})
    known_bytes = await tenant.services.database.write(
        lambda session: service.known_bytes(session, tenant.project_id, asked)
    )
    if known_bytes is not None and asked.sha256 is not None:
        return await _remember(tenant, asked, asked.sha256, known_bytes)
    path = tenant.services.part_folder / f"{new_id('put')}.part"
    try:
        sha256, size_bytes = await _store(tenant, request, path, asked, await _terms(tenant, asked))
    finally:
        service.discard_part(tenant.services, path)
    return await _remember(tenant, asked, sha256, size_bytes)


async def _remember(tenant: Tenant, asked: UploadRequest, sha256: str, size_bytes: int) -> Record:
    max_age_seconds = tenant.services.settings.upload_max_age_seconds

    def work(session: Session, project_id: str) -> Record:
        return service.create_complete(session, project_id, asked, sha256, size_bytes, max_age_seconds)

    return await tenant.write(work)


async def _terms(tenant: Tenant, asked: UploadRequest) -> Terms:
    """Return what holds for the bytes. A length that was told and has no room is refused here."""
    limit_bytes, room = tenant.services.settings.max_upload_bytes, await room_bytes(tenant)
    if room is None or room >= limit_bytes:
        return Terms(limit_bytes, lambda _found: refusals.too_large(limit_bytes), _unasked, asked.kind)
    if asked.size_bytes is not None and asked.size_bytes > room:
        raise refusals.no_room(room)
    return Terms(room, lambda _found: refusals.no_room(room), _unasked, asked.kind)


def _unasked(_offset: int) -> None:
    """A one-shot upload cannot be resumed, so nobody asks how far it came."""


async def _store(tenant: Tenant, request: Request, path: Path, asked: UploadRequest, terms: Terms) -> tuple[str, int]:
    """Receive the whole body into `path` and publish it; return its sha256 and size."""
    services = tenant.services
    async with services.turns.alone(path.stem) as turn:
        with PartFile(path, 0, services.storage, services.hashes) as file:
            file.recount()
            await receive(request.stream(), file, turn, terms)
            if file.offset == 0:
                raise refusals.empty()
            check_head(file.head(), asked.kind)
            sha256 = await asyncio.to_thread(file.publish, services.database, asked.sha256)
    return sha256, file.offset
