"""`/v1/keys`: made once, shown once, taken back within a second.

Making one takes no Idempotency-Key: the stored answer would hold the key.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Response
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Admin, check_id
from app.errors import Problem, not_found
from app.keys.schemas import KeyRequest, KeysList, KeyView, NewKeyView
from app.openapi import problems
from core.db import Query, Record, utc_now
from core.keys import create_key
from core.tables import ApiKey

router = APIRouter(prefix="/v1/keys", tags=["keys"], responses=problems(401, 403))

keys_statement: Final = Query(
    select(*(ApiKey.__table__.columns[name] for name in KeyView.model_fields))
    .where(ApiKey.project_id == bindparam("project_id"))
    .order_by(ApiKey.id)
)


@router.get("", response_model=KeysList)
async def list_keys(tenant: Admin) -> Response:
    """List the project's keys, those taken back too."""
    return json_answer({"keys": await tenant.fetch_all(keys_statement)})


@router.post("", status_code=201, response_model=NewKeyView)
async def create(tenant: Admin, asked: KeyRequest) -> Response:
    """Make a key for this project."""
    if asked.expires_at is not None and asked.expires_at <= datetime.now(UTC):
        detail = f"expires_at: {asked.expires_at.isoformat()} has passed already."
        errors = [{"pointer": "/expires_at", "code": "in-the-past", "detail": detail}]
        raise Problem("validation-failed", detail, errors=errors)

    def work(session: Session, project_id: str) -> dict[str, Any]:
        row, key = create_key(
            session,
            project_id=project_id,
            name=asked.name,
            scopes=asked.scopes,
            pepper=tenant.services.pepper,
            expires_at=asked.expires_at,
        )
        return _view(row) | {"key": key}

    return json_answer(await tenant.write(work), 201, {"Cache-Control": "no-store"})


@router.delete("/{key_id}", status_code=204, responses=problems(404))
async def revoke(key_id: str, tenant: Admin) -> Response:
    """Take a key back; within a second it opens nothing more."""
    check_id("key", key_id)

    def work(session: Session, project_id: str) -> None:
        mine = update(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == project_id)
        if session.execute(mine.values(revoked_at=utc_now(session)).returning(ApiKey.id)).first() is None:
            raise not_found("key", key_id)

    await tenant.write(work)
    return Response(status_code=204)


def _view(row: ApiKey) -> Record:
    return {name: getattr(row, name) for name in KeyView.model_fields}
