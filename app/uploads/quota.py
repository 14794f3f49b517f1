"""Is there room for a file? Asked before its first byte where its size is told, else while it comes."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.deps import Tenant
from app.uploads.refusals import no_room, too_large
from core.limits import bytes_left


def check_room(session: Session, project_id: str, more_bytes: int) -> None:
    """Raise `quota-exceeded` where the project may not store so much more."""
    left_bytes = bytes_left(session, project_id)
    if left_bytes is not None and more_bytes > left_bytes:
        raise no_room(left_bytes)


def check_size(tenant: Tenant, size_bytes: int | None) -> None:
    """Raise `upload-too-large` for a file that nobody may send."""
    limit_bytes = tenant.services.settings.max_upload_bytes
    if size_bytes is not None and size_bytes > limit_bytes:
        raise too_large(limit_bytes)


async def room_bytes(tenant: Tenant) -> int | None:
    """Return how much the project may still store; None without a quota."""
    database, project_id = tenant.services.database, tenant.project_id
    return await database.write(lambda session: bytes_left(session, project_id))
