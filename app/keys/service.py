"""Keys between rows and clients: what is shown, and the rule that no key makes one that can do more than itself."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Response
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Tenant, check_id
from app.errors import Problem, not_found
from app.keys.schemas import KeyRequest, KeyView
from core.db import Query, Record, utc_now
from core.keys import create_key
from core.scopes import OPERATOR, ORGANIZATION_ADMIN, granted
from core.tables import ApiKey, Organization, Project

keys_statement: Final = Query(
    select(*(ApiKey.__table__.columns[name] for name in KeyView.model_fields))
    .where(ApiKey.project_id == bindparam("project_id"))
    .order_by(ApiKey.id)
)


async def list_all(tenant: Tenant) -> Response:
    """Show the project's keys."""
    return json_answer({"keys": await tenant.fetch_all(keys_statement)})


async def create(tenant: Tenant, asked: KeyRequest) -> Response:
    """Make a key of the tenant's project."""
    _check_expiry(asked.expires_at)
    _check_scopes(tenant, asked)

    def work(session: Session, project_id: str) -> dict[str, Any]:
        row, key = create_key(
            session,
            project_id=project_id,
            name=asked.name,
            scopes=list(dict.fromkeys(asked.scopes)),
            pepper=tenant.services.pepper,
            expires_at=asked.expires_at,
        )
        return view(row) | {"key": key}

    made = await tenant.write(work, details={"name": asked.name, "scopes": list(asked.scopes)})
    return json_answer(made, 201, {"Cache-Control": "no-store"})


async def revoke(tenant: Tenant, key_id: str) -> Response:
    """Take a key of the tenant's project back, but not an organisation's last; one taken back before keeps its time."""
    check_id("key", key_id)

    def work(session: Session, project_id: str) -> None:
        organization_id = lock_organization(session, project_id)
        mine = select(ApiKey).where(ApiKey.id == key_id, ApiKey.project_id == project_id)
        row = session.scalars(mine.with_for_update()).first()
        if row is None:
            raise not_found("key", key_id)
        _check_not_above(tenant, row)
        check_still_managed(session, organization_id, [row])
        row.revoked_at = row.revoked_at or utc_now(session)

    await tenant.write(work)
    return Response(status_code=204)


def lock_organization(session: Session, project_id: str) -> str:
    """Return a project's organisation: two admins who take each other's keys back do it one after the other.

    Raises Problem where the project has gone meanwhile.
    """
    project = session.get(Project, project_id)
    if project is None:
        raise not_found("project", project_id)
    session.get(Organization, project.organization_id, with_for_update={"key_share": True})
    return project.organization_id


def check_still_managed(session: Session, organization_id: str, leaving: Collection[ApiKey]) -> None:
    """Refuse that the only keys leave that can manage an organisation, or the whole service: nobody could any more."""
    is_live = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > utc_now(session))
    of_all = select(ApiKey).join(Project, Project.id == ApiKey.project_id)
    live = of_all.where(Project.organization_id == organization_id, ApiKey.revoked_at.is_(None), is_live)
    gone = {row.id for row in leaving}
    managing = {
        row: granted(row.scopes, row.project_id) & {ORGANIZATION_ADMIN, OPERATOR} for row in session.scalars(live)
    }
    before = frozenset().union(*managing.values())
    after = frozenset().union(*(scopes for row, scopes in managing.items() if row.id not in gone))
    if before != after:
        names = ", ".join(f"'{row.name}'" for row, scopes in managing.items() if row.id in gone and scopes)
        whose = "service" if OPERATOR in before - after else "organisation"
        raise Problem("state-conflict", f"No key but {names} can manage the {whose}. Make another one first.")


def view(row: ApiKey) -> Record:
    return {name: getattr(row, name) for name in KeyView.model_fields}


def note_uses(session: Session, key_ids: set[str]) -> None:
    """Write down that keys were used within this minute."""
    used = update(ApiKey).where(ApiKey.id.in_(key_ids)).values(last_used_at=utc_now(session))
    session.execute(used, execution_options={"synchronize_session": False})


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= datetime.now(UTC):
        detail = f"expires_at: {expires_at.isoformat()} has passed already."
        errors = [{"pointer": "/expires_at", "code": "in-the-past", "detail": detail}]
        raise Problem("validation-failed", detail, errors=errors)


def _check_scopes(tenant: Tenant, asked: KeyRequest) -> None:
    beyond = granted(asked.scopes, tenant.project_id) - tenant.identity.granted
    if beyond:
        name, missing = tenant.identity.key_name, ", ".join(sorted(beyond))
        message = f"The key '{name}' cannot give what it does not have: {missing}. Ask for less, or use a stronger key."
        raise Problem("forbidden-scope", message, required_scope=min(beyond))


def _check_not_above(tenant: Tenant, row: ApiKey) -> None:
    """A weak key that could take back a strong one could shut its makers out."""
    beyond = granted(row.scopes, row.project_id) - tenant.identity.granted
    if beyond:
        message = f"The key '{row.name}' can do more than this one, which therefore cannot take it back."
        raise Problem("forbidden-scope", message, required_scope=min(beyond))
