"""How bytes come into the store and leave it: no one may name what another is just deleting.

Whoever wants to name bytes calls `publish` first. It writes the blob's row, or touches it, in a transaction that is
committed before the first byte is stored; the row that names the blob follows later. `delete_unused` takes only blobs
that nobody names and that were touched longer than `GRACE` ago, which is longer than any attempt lasts. It deletes the
row and then, before it commits, the bytes. So of two at once:

1. `publish` came first: the row is fresh, and `delete_unused` finds nothing to delete. Where it has begun already, it
   waits for the row and looks at it again.
2. `delete_unused` came first: `publish` waits for its commit (SQLite: for the write lock; PostgreSQL: for the row),
   adds the row again, and then finds no bytes in the store and stores them.
3. Somebody names the bytes without `publish`, because a row of his names them already: the foreign key decides. Either
   his row is there and the deletion is refused, or the blob is gone and his row is refused.

A crash after the bytes are gone and before the commit leaves a row that nobody names: the next `publish` stores the
bytes anew, or the next `delete_unused` deletes the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.db import Database, insert_if_absent, utc_now
from core.storage import Storage
from core.storage.base import Direct, Gathered
from core.tables import Artifact, Blob, Dataset, StoredModel, Upload

GRACE: Final = timedelta(days=3)
"""Longer than an attempt can last: a recipe's longest budget is one day."""

DELETED_AT_ONCE: Final = 100

log = structlog.get_logger()


def publish(database: Database, storage: Storage, path: Path, sha256: str) -> None:
    """Store a file, whose sha256 the caller has counted, and consume it; nobody deletes it for the time of `GRACE`."""
    size_bytes = path.stat().st_size
    with database.transaction() as session:
        touch(session, sha256, size_bytes)
    storage.put_file(path, sha256)


def publish_joined(database: Database, direct: Direct, upload_id: str, gathered: Gathered) -> None:
    """The same for a file whose parts were joined in the store, and read."""
    with database.transaction() as session:
        touch(session, gathered.sha256, gathered.size_bytes)
    direct.publish(upload_id, gathered.sha256)


def touch(session: Session, sha256: str, size_bytes: int) -> None:
    """Say that these bytes are about to be stored and named."""
    now = utc_now(session)
    insert_if_absent(session, Blob, sha256=sha256, size_bytes=size_bytes, created_at=now)
    session.execute(update(Blob).where(Blob.sha256 == sha256).values(touched_at=now))


def delete_unused(database: Database, storage: Storage, limit: int = DELETED_AT_ONCE) -> int:
    """Delete up to `limit` blobs that nobody names, row and bytes; return how many: as many may mean that more wait."""
    with database.transaction() as session:
        unused = session.scalars(select(Blob.sha256).where(*_is_unused(session)).limit(limit)).all()
    return sum(_delete(database, storage, sha256) for sha256 in unused)


def _delete(database: Database, storage: Storage, sha256: str) -> bool:
    try:
        with database.transaction() as session:
            gone = delete(Blob).where(Blob.sha256 == sha256, *_is_unused(session)).returning(Blob.sha256)
            if session.scalar(gone) is None:
                return False
            storage.delete(sha256)
    except IntegrityError:
        return False  # case 3: it was named meanwhile
    log.info("blob.deleted", sha256=sha256)
    return True


def _is_unused(session: Session) -> Sequence[ColumnElement[bool]]:
    named = [~exists().where(table.sha256 == Blob.sha256) for table in (Upload, StoredModel, Dataset, Artifact)]
    return [func.coalesce(Blob.touched_at, Blob.created_at) < utc_now(session) - GRACE, *named]
