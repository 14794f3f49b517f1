"""The rows of uploads: how they begin, how far they are, how they end. Knows no dialect and no bytes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from app.deps import Tenant
from app.errors import Problem, as_problem
from app.services import Services
from app.uploads.quota import check_room
from app.uploads.schemas import UploadRequest
from core.db import Query, Record, insert_if_absent, utc_now
from core.ids import new_id
from core.storage.base import StorageError
from core.tables import Artifact, Blob, Dataset, StoredModel, Upload

log = structlog.get_logger("app.uploads")

SWEPT_AT_ONCE: Final = 1000

upload_statement: Final = Query(
    select(*Upload.__table__.columns).where(
        Upload.project_id == bindparam("project_id"), Upload.id == bindparam("upload_id")
    )
)


async def upload_row(tenant: Tenant, upload_id: str) -> Record:
    """Return an upload of the project's, or raise `not-found`."""
    return await tenant.get(upload_statement, "upload", upload_id, upload_id=upload_id)


def upload_view(services: Services, row: Record) -> dict[str, Any]:
    """Return an upload as clients see it."""
    is_complete = row["completed_at"] is not None
    is_open = not is_complete and row["error"] is None
    return {
        "id": row["id"],
        "filename": row["filename"],
        "kind": row["kind"],
        "state": "complete" if is_complete else "failed" if row["error"] else "receiving",
        "size_bytes": row["size_bytes"],
        "offset_bytes": row["offset_bytes"],
        "sha256": row["sha256"] or row["expected_sha256"],
        "complete": is_complete,
        "direct": is_open and services.storage.direct is not None and services.settings.s3_public_endpoint is not None,
        "error": row["error"],
        "created_at": row["created_at"],
        "expires_at": row["expires_at"],
    }


def create(
    session: Session, project_id: str, asked: UploadRequest, max_age_seconds: int, *, tus_metadata: str | None = None
) -> Record:
    """Add an upload; complete at once if the project already has these bytes. Raises `quota-exceeded`."""
    known = known_bytes(session, project_id, asked)
    if known is None:
        check_room(session, project_id, asked.size_bytes or 1)
    now = utc_now(session)
    upload = Upload(
        id=new_id("upl"),
        project_id=project_id,
        filename=asked.filename,
        kind=asked.kind,
        size_bytes=known or asked.size_bytes,
        offset_bytes=known or 0,
        tus_metadata=tus_metadata,
        expected_sha256=asked.sha256,
        sha256=asked.sha256 if known else None,
        created_at=now,
        expires_at=now + timedelta(seconds=max_age_seconds),
        completed_at=now if known else None,
    )
    return _stored(session, upload)


def create_complete(
    session: Session, project_id: str, asked: UploadRequest, sha256: str, size_bytes: int, max_age_seconds: int
) -> Record:
    """Add an upload whose bytes are in storage already. Raises `quota-exceeded`."""
    whole = asked.model_copy(update={"sha256": sha256, "size_bytes": size_bytes})
    if known_bytes(session, project_id, whole) is None:
        check_room(session, project_id, size_bytes)
    insert_if_absent(session, Blob, sha256=sha256, size_bytes=size_bytes, created_at=utc_now(session))
    now = utc_now(session)
    upload = Upload(
        id=new_id("upl"),
        project_id=project_id,
        filename=whole.filename,
        kind=whole.kind,
        size_bytes=size_bytes,
        offset_bytes=size_bytes,
        sha256=sha256,
        created_at=now,
        expires_at=now + timedelta(seconds=max_age_seconds),
        completed_at=now,
    )
    return _stored(session, upload)


def claim(session: Session, upload: Record, size_bytes: int | None) -> str | None:
    """Make the asker the only one whose bytes count, and note the size where he told it; return his word for that.

    None: meanwhile the upload has moved, ended or gone.
    """
    writer = secrets.token_hex(16)
    standing = (
        Upload.id == upload["id"],
        Upload.offset_bytes == upload["offset_bytes"],
        Upload.completed_at.is_(None),
        Upload.error.is_(None),
        Upload.part_bytes.is_(None),
    )
    values = {"writer": writer, "size_bytes": size_bytes}
    claimed = update(Upload).where(*standing).values(values).returning(Upload.id)
    return None if session.scalar(claimed) is None else writer


def end_writing(session: Session, upload_id: str) -> None:
    """Let the bytes of whoever is writing count no more, in whichever process: the offset stays as it is."""
    session.execute(update(Upload).where(Upload.id == upload_id, Upload.writer.is_not(None)).values(writer=None))


def note(session: Session, upload_id: str, writer: str, **values: Any) -> None:
    """Write what the one writer has found. Raises `upload-taken-over` where it is another by now."""
    mine = update(Upload).where(Upload.id == upload_id, Upload.writer == writer).values(values)
    if session.scalar(mine.returning(Upload.id)) is None:
        message = "Another request went on with this upload. Ask HEAD for the offset."
        raise Problem("upload-taken-over", message, headers={"Retry-After": "1"})


async def complete(tenant: Tenant, upload: Record, size_bytes: int, sha256: str) -> None:
    """Note that all bytes are in storage, and only then forget how they gathered: who comes between finds either."""

    def work(session: Session, _project_id: str) -> None:
        now = utc_now(session)
        insert_if_absent(session, Blob, sha256=sha256, size_bytes=size_bytes, created_at=now)
        values = {"offset_bytes": size_bytes, "size_bytes": size_bytes, "sha256": sha256, "completed_at": now}
        ended = update(Upload).where(Upload.id == upload["id"], Upload.completed_at.is_(None))
        session.execute(ended.values(values | {"writer": None, "error": None}))

    await tenant.write(work)
    await _discard_or_leave(tenant.services, upload)


async def fail(services: Services, upload: Record, problem: Problem) -> None:
    """End an upload that can come to nothing, and forget its bytes; whoever asks for it is told why."""
    error = as_problem(problem.code, problem.detail, errors=problem.errors, **problem.members)

    def work(session: Session) -> None:
        ended = update(Upload).where(Upload.id == upload["id"], Upload.completed_at.is_(None))
        session.execute(ended.values(error=error, writer=None))

    await services.database.write(work)
    await _discard_or_leave(services, upload)


async def remove(tenant: Tenant, upload: Record) -> None:
    """Forget an upload and what had arrived of it. Models and datasets made from it keep their bytes."""
    services = tenant.services
    await services.turns.interrupt(upload["id"])
    await services.database.write(lambda session: end_writing(session, upload["id"]))
    await asyncio.to_thread(discard, services, upload["id"], upload["multipart_id"])

    def work(session: Session, project_id: str) -> None:
        session.execute(delete(Upload).where(Upload.id == upload["id"], Upload.project_id == project_id))

    await tenant.write(work)


def part_path(services: Services, upload_id: str) -> Path:
    return services.part_folder / f"{upload_id}.part"


def discard(services: Services, upload_id: str, multipart_id: str | None) -> None:
    """Forget the bytes that gathered for an upload, here or in the store. Blocks."""
    discard_part(services, part_path(services, upload_id))
    if multipart_id is not None and services.storage.direct is not None:
        services.storage.direct.discard(upload_id, multipart_id)


async def _discard_or_leave(services: Services, upload: Record) -> None:
    """Forget the bytes; those of a store that does not answer are left to the sweep, which finds them by the row."""
    try:
        await asyncio.to_thread(discard, services, upload["id"], upload["multipart_id"])
    except StorageError:
        log.warning("upload.bytes_left", upload_id=upload["id"], exc_info=True)


def discard_part(services: Services, path: Path) -> None:
    """Remove a part file and what is known of it."""
    services.hashes.forget(path)
    path.unlink(missing_ok=True)


def sweep(services: Services) -> int:
    """Remove uploads whose time is over, and part files that belong to none; return how many rows went.

    The bytes go first: what a store that does not answer still has is found again by its row.
    """

    def find(session: Session) -> tuple[Sequence[Any], set[str]]:
        expired = select(Upload.id, Upload.multipart_id).where(Upload.expires_at < utc_now(session))
        old = session.execute(expired.limit(SWEPT_AT_ONCE))
        unfinished = session.scalars(select(Upload.id).where(Upload.completed_at.is_(None)))
        return old.all(), set(unfinished)

    before = _parts_by_age(services)
    old, unfinished = services.database.do(find)
    for upload_id, multipart_id in old:
        discard(services, upload_id, multipart_id)
    gone = [upload_id for upload_id, _ in old]
    services.database.do(lambda session: session.execute(delete(Upload).where(Upload.id.in_(gone))))
    for path, changed_at in before.items():
        is_old = datetime.now().timestamp() - changed_at > services.settings.upload_max_age_seconds
        if path.stem not in unfinished - set(gone) and is_old:
            discard_part(services, path)
    return len(gone)


def _parts_by_age(services: Services) -> dict[Path, float]:
    """List the part files with the time of their last change."""
    found = {}
    for path in services.part_folder.glob("*.part"):
        try:
            found[path] = path.stat().st_mtime
        except FileNotFoundError:
            continue
    return found


def known_bytes(session: Session, project_id: str, asked: UploadRequest) -> int | None:
    """Return the size of the bytes that are asked for, if the project has brought or made them itself."""
    if asked.sha256 is None:
        return None
    owned = [
        exists().where(table.sha256 == asked.sha256, table.project_id == project_id)
        for table in (Upload, StoredModel, Dataset, Artifact)
    ]
    size_bytes = session.scalar(select(Blob.size_bytes).where(Blob.sha256 == asked.sha256, or_(*owned)))
    return size_bytes if asked.size_bytes in (None, size_bytes) else None


def _stored(session: Session, upload: Upload) -> Record:
    session.add(upload)
    session.flush()
    return {column.name: getattr(upload, column.name) for column in Upload.__table__.columns}
