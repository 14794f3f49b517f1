"""The rows of uploads, and the moment when a gathered file becomes a stored one."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from app.deps import Tenant
from app.services import Services
from app.uploads.schemas import UploadRequest
from core.db import Query, Record, insert_if_absent, utc_now
from core.ids import new_id
from core.tables import Artifact, Blob, Dataset, StoredModel, Upload

upload_statement: Final = Query(
    select(*Upload.__table__.columns).where(
        Upload.project_id == bindparam("project_id"), Upload.id == bindparam("upload_id")
    )
)


def upload_view(row: Record) -> dict[str, Any]:
    """Return an upload as clients see it."""
    return {
        "id": row["id"],
        "filename": row["filename"],
        "size_bytes": row["size_bytes"],
        "offset_bytes": row["offset_bytes"],
        "sha256": row["sha256"] or row["expected_sha256"],
        "complete": row["completed_at"] is not None,
        "created_at": row["created_at"],
        "expires_at": row["expires_at"],
    }


def create(session: Session, project_id: str, asked: UploadRequest, max_age_seconds: int) -> Record:
    """Add an upload; complete at once if the project already has these bytes."""
    known = asked.sha256 is not None and _project_has(session, project_id, asked.sha256, asked.size_bytes)
    now = utc_now(session)
    upload = Upload(
        id=new_id("upl"),
        project_id=project_id,
        filename=asked.filename,
        size_bytes=asked.size_bytes,
        offset_bytes=asked.size_bytes if known else 0,
        expected_sha256=asked.sha256,
        sha256=asked.sha256 if known else None,
        created_at=now,
        expires_at=now + timedelta(seconds=max_age_seconds),
        completed_at=now if known else None,
    )
    return _stored(session, upload)


def create_complete(
    session: Session, project_id: str, *, filename: str, size_bytes: int, sha256: str, max_age_seconds: int
) -> Record:
    """Add an upload whose bytes are in storage already."""
    now = utc_now(session)
    insert_if_absent(session, Blob, sha256=sha256, size_bytes=size_bytes, created_at=now)
    upload = Upload(
        id=new_id("upl"),
        project_id=project_id,
        filename=filename,
        size_bytes=size_bytes,
        offset_bytes=size_bytes,
        sha256=sha256,
        created_at=now,
        expires_at=now + timedelta(seconds=max_age_seconds),
        completed_at=now,
    )
    return _stored(session, upload)


def complete(session: Session, upload_id: str, size_bytes: int, sha256: str) -> None:
    """Note that all bytes are in storage."""
    now = utc_now(session)
    insert_if_absent(session, Blob, sha256=sha256, size_bytes=size_bytes, created_at=now)
    values = {"offset_bytes": size_bytes, "size_bytes": size_bytes, "sha256": sha256, "completed_at": now}
    session.execute(update(Upload).where(Upload.id == upload_id).values(values))


def set_offset(services: Services, upload_id: str, offset_bytes: int) -> None:
    """Acknowledge bytes that are safely on disk. Blocks; runs in the writing thread."""

    def work(session: Session) -> None:
        session.execute(update(Upload).where(Upload.id == upload_id).values(offset_bytes=offset_bytes))

    services.database.do(work)


async def remove(tenant: Tenant, upload_id: str) -> None:
    """Forget an upload and what had arrived of it. Models and datasets made from it keep their bytes."""
    services = tenant.services
    await services.turns.interrupt(upload_id)

    def work(session: Session, project_id: str) -> None:
        session.execute(delete(Upload).where(Upload.id == upload_id, Upload.project_id == project_id))

    await tenant.write(work)
    discard_part(services, part_path(services, upload_id))


def part_path(services: Services, upload_id: str) -> Path:
    return services.part_folder / f"{upload_id}.part"


def discard_part(services: Services, path: Path) -> None:
    """Remove a part file and what is known of it."""
    services.hashes.forget(path)
    path.unlink(missing_ok=True)


def sweep(services: Services) -> int:
    """Remove uploads whose time is over, and part files that belong to none; return how many rows went."""

    def work(session: Session) -> tuple[int, set[str]]:
        gone = session.scalars(delete(Upload).where(Upload.expires_at < utc_now(session)).returning(Upload.id)).all()
        unfinished = session.scalars(select(Upload.id).where(Upload.completed_at.is_(None)))
        return len(gone), set(unfinished)

    before = _parts_by_age(services)
    count, unfinished = services.database.do(work)
    for path, changed_at in before.items():
        is_old = datetime.now().timestamp() - changed_at > services.settings.upload_max_age_seconds
        if path.stem not in unfinished and is_old:
            discard_part(services, path)
    return count


def _parts_by_age(services: Services) -> dict[Path, float]:
    """List the part files with the time of their last change."""
    found = {}
    for path in services.part_folder.glob("*.part"):
        try:
            found[path] = path.stat().st_mtime
        except FileNotFoundError:
            continue
    return found


def _project_has(session: Session, project_id: str, sha256: str, size_bytes: int) -> bool:
    """Tell whether the project itself has brought or made these bytes; another project's do not count."""
    owned = [
        exists().where(table.sha256 == sha256, table.project_id == project_id)
        for table in (Upload, StoredModel, Dataset, Artifact)
    ]
    stored = select(Blob.sha256).where(Blob.sha256 == sha256, Blob.size_bytes == size_bytes, or_(*owned))
    return session.scalar(stored) is not None


def _stored(session: Session, upload: Upload) -> Record:
    session.add(upload)
    session.flush()
    return {column.name: getattr(upload, column.name) for column in Upload.__table__.columns}
