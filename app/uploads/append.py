"""Bytes behind those of an upload, whatever the dialect: the checks before the first one, the bytes, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.datastructures import Headers

from app.deps import Tenant
from app.errors import Problem
from app.memory.turns import Turn
from app.services import Services
from app.uploads import refusals, service
from app.uploads.gathering import Gathering, PartLost
from app.uploads.kinds import check_head
from app.uploads.partfile import PartFile
from app.uploads.partobject import PartObject
from app.uploads.quota import check_room, check_size, room_bytes
from app.uploads.receive import Terms, receive
from app.uploads.seals import Seal
from core.db import Record

ENDS_AN_UPLOAD = {
    "digest-mismatch",
    "quota-exceeded",
    "unsupported-format",
    "upload-length-mismatch",
    "upload-too-large",
}
"""What, found on the way, cannot become right any more."""


@dataclass(frozen=True)
class Piece:
    """What a request says of the bytes that it brings; `is_last` is None where reaching the size is the end."""

    offset: int
    is_last: bool | None
    size_bytes: int | None = None
    seal: Seal | None = None


def content_length(headers: Headers) -> int | None:
    """Return how many bytes the body has; None where it comes in chunks and only its end will tell."""
    value = headers.get("Content-Length", "")
    if value.isdigit():
        return int(value)
    return None if "Transfer-Encoding" in headers else 0


async def append(tenant: Tenant, request: Request, upload_id: str, piece: Piece) -> Record:
    """Append the body to an upload; store the file when it is whole. What came before a cut is kept."""
    async with tenant.services.turns.alone(upload_id) as turn:
        upload = await service.upload_row(tenant, upload_id)
        length = content_length(request.headers)
        check_open(upload, piece.offset, length)
        size_bytes = _agreed_size(upload, piece, length)
        writer = await _claimed(tenant, upload, size_bytes)
        if writer is None:
            raise refusals.other_offset((await service.upload_row(tenant, upload_id))["offset_bytes"], piece.offset)
        arrival = _Arrival(tenant, upload | {"size_bytes": size_bytes}, writer)
        try:
            is_whole = await arrival.take(request, turn, piece)
        except PartLost as found:
            await arrival.fail(refusals.lost(found.size_bytes))
            raise refusals.lost(found.size_bytes) from found
    upload = await service.upload_row(tenant, upload_id)
    if piece.is_last and not is_whole:
        raise refusals.other_length(size_bytes or 0, upload["offset_bytes"])
    return upload


def check_open(upload: Record, offset: int, length: int | None) -> None:
    """Refuse what an upload cannot take as it stands."""
    if upload["error"] is not None:
        raise refusals.failed(upload)
    if upload["part_bytes"] is not None and upload["completed_at"] is None:
        message = "This upload's parts go to the store. Ask for their addresses, and POST …/complete at the end."
        raise Problem("state-conflict", message)
    if offset != upload["offset_bytes"]:
        raise refusals.other_offset(upload["offset_bytes"], offset)
    if upload["completed_at"] is not None:
        raise refusals.completed(upload) if length == 0 else refusals.other_length(offset, offset + (length or 1))


def _agreed_size(upload: Record, piece: Piece, length: int | None) -> int | None:
    """Return the size of the whole file, None while nobody knows it. Refuses what cannot add up."""
    end = None if length is None else piece.offset + length
    told: list[int | None] = [upload["size_bytes"], piece.size_bytes, end if piece.is_last else None]
    sizes = [size for size in told if size is not None]
    if not sizes:
        return None
    for size in sizes[1:]:
        if size != sizes[0]:
            raise refusals.other_length(sizes[0], size)
    if end is not None and end > sizes[0]:
        raise refusals.other_length(sizes[0], end)
    if sizes[0] == 0:
        raise refusals.empty()
    return sizes[0]


async def _claimed(tenant: Tenant, upload: Record, size_bytes: int | None) -> str | None:
    """Make the asker the only writer, or return None; refuse a size that is told only now and is too large.

    Room is looked for and taken in one transaction: two uploads at once cannot both have the last of it.
    """
    more_bytes = 0
    if size_bytes is not None and upload["size_bytes"] is None:
        check_size(tenant, size_bytes)
        more_bytes = size_bytes - upload["offset_bytes"]

    def work(session: Session) -> str | None:
        if more_bytes:
            check_room(session, tenant.project_id, more_bytes)
        return service.claim(session, upload, size_bytes)

    return await tenant.services.database.write(work)


class _Arrival:
    """One request's bytes on their way into an upload that only it may write to."""

    def __init__(self, tenant: Tenant, upload: Record, writer: str) -> None:
        self._tenant = tenant
        self._services: Services = tenant.services
        self._upload = upload
        self._writer = writer
        self._noted_bytes: int = upload["offset_bytes"]

    async def take(self, request: Request, turn: Turn, piece: Piece) -> bool:
        """Append the body, publish the file if that makes it whole, and return whether it did."""
        terms = replace(await self._terms(), seal=piece.seal)
        with await self._open(piece.offset) as file:
            await asyncio.to_thread(file.recount)
            await self._or_fail(receive(request.stream(), file, turn, terms))
            size_bytes = self._upload["size_bytes"]
            reaches_the_end = size_bytes in (None, file.offset)
            is_whole = reaches_the_end and (piece.is_last if piece.is_last is not None else size_bytes is not None)
            if is_whole:
                await self._or_fail(self._publish(file), is_end=True)
        return is_whole

    async def fail(self, problem: Problem) -> None:
        await service.fail(self._services, self._upload, problem)

    async def _terms(self) -> Terms:
        """Return what holds for these bytes: the declared size, or how much anybody may send."""
        size_bytes, kind = self._upload["size_bytes"], self._upload["kind"]
        if size_bytes is not None:
            return Terms(size_bytes, lambda found: refusals.other_length(size_bytes, found), self._checkpoint, kind)
        limit_bytes = self._services.settings.max_upload_bytes
        room = await room_bytes(self._tenant)
        if room is not None and room + self._upload["offset_bytes"] < limit_bytes:
            return Terms(room + self._upload["offset_bytes"], lambda _: refusals.no_room(room), self._checkpoint, kind)
        return Terms(limit_bytes, lambda _: refusals.too_large(limit_bytes), self._checkpoint, kind)

    async def _open(self, offset: int) -> Gathering:
        """Open what gathers the bytes. The file here and not in a thread: were this request ended meanwhile, its lock
        would stay behind."""
        direct, upload_id = self._services.storage.direct, self._upload["id"]
        if direct is None:
            path = service.part_path(self._services, upload_id)
            return PartFile(path, offset, self._services.storage, self._services.hashes)
        if self._upload["multipart_id"] is None:
            if offset:
                raise PartLost(0)
            multipart_id = await asyncio.to_thread(direct.begin, upload_id)
            try:
                await self._note(multipart_id=multipart_id)
            except Problem:
                await asyncio.to_thread(direct.abandon, upload_id, multipart_id)
                raise
            self._upload["multipart_id"] = multipart_id
        return PartObject(direct, upload_id, self._upload["multipart_id"], offset)

    async def _publish(self, file: Gathering) -> None:
        """Make a blob of the whole file. Once that is begun, no other process may go on: the file moves."""
        if file.offset == 0:
            raise refusals.empty()
        await self._note(offset_bytes=file.offset)
        database, expected = self._services.database, self._upload["expected_sha256"]
        async with self._services.joins.reading:
            check_head(await asyncio.to_thread(file.head), self._upload["kind"])
            sha256 = await asyncio.to_thread(file.publish, database, expected)
        await service.complete(self._tenant, self._upload, file.offset, sha256)

    async def _or_fail(self, work: Awaitable[None], *, is_end: bool = False) -> None:
        """Do it; what can never become right ends the upload, and at its end says that all had arrived."""
        try:
            await work
        except Problem as problem:
            if is_end:
                problem.headers = {**(problem.headers or {}), "Upload-Complete": "?1"}
            if problem.code in ENDS_AN_UPLOAD:
                await self.fail(problem)
            raise

    def _checkpoint(self, offset: int) -> None:
        """Note what is safe. Of an unknown size the room was not taken at the beginning: others may have had it."""
        note, more_bytes = self._noting(offset_bytes=offset), offset - self._noted_bytes

        def work(session: Session) -> None:
            if self._upload["size_bytes"] is None:
                check_room(session, self._tenant.project_id, more_bytes)
            note(session)

        self._services.database.do(work)
        self._noted_bytes = offset

    async def _note(self, **values: Any) -> None:
        await self._services.database.write(self._noting(**values))

    def _noting(self, **values: Any) -> Callable[[Session], None]:
        return lambda session: service.note(session, self._upload["id"], self._writer, **values)
