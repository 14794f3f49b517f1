"""Organisations and projects between rows and clients: who may see which, and what is written."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, String, bindparam, delete, literal, or_, select
from sqlalchemy.orm import Session

from app.deps import Tenant, check_id
from app.errors import Problem, not_found
from app.keys.service import check_still_managed, lock_organization
from app.keys.service import view as key_view
from app.projects.schemas import Change, LimitsRequest, OrganizationRequest, ProjectRequest
from core.db import Query, Record, utc_now
from core.ids import new_id
from core.keys import create_key
from core.limits import LIMITS
from core.scopes import DEFAULT_PROJECT_ID, ORGANIZATION_ADMIN
from core.tables import (
    ApiKey,
    ComputeUsage,
    Dataset,
    Deletion,
    IdempotencyKey,
    Job,
    Limited,
    Organization,
    Project,
    StoredModel,
    Turn,
    Upload,
    Webhook,
)

HELD: Final[dict[str, Any]] = {
    "jobs": Job,
    "models": StoredModel,
    "datasets": Dataset,
    "uploads": Upload,
    "webhooks": Webhook,
}
"""What a project must be rid of before it can be deleted."""

GOES_ALONG: Final[tuple[Any, ...]] = (ApiKey, IdempotencyKey, Turn, ComputeUsage, Deletion)

_ANY: Final = ""
"""In the place of an organisation's id: the operator sees all."""


def _of(column: Any) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = column == bindparam("organization_id")
    return or_(bindparam("organization_id", type_=String) == _ANY, mine)


organization_statement: Final = Query(
    select(*Organization.__table__.columns).where(_of(Organization.id), Organization.id == bindparam("wanted"))
)
organizations_page_statement: Final = Query(
    select(*Organization.__table__.columns)
    .where(_of(Organization.id), Organization.id < bindparam("before"))
    .order_by(Organization.id.desc())
    .limit(bindparam("limit"))
)
project_statement: Final = Query(
    select(*Project.__table__.columns).where(_of(Project.organization_id), Project.id == bindparam("wanted"))
)
projects_page_statement: Final = Query(
    select(*Project.__table__.columns)
    .where(_of(Project.organization_id), Project.id < bindparam("before"))
    .order_by(Project.id.desc())
    .limit(bindparam("limit"))
)


def sight(tenant: Tenant) -> str:
    """Return the organisation whose rows the key may see; the operator's sees all."""
    return _ANY if tenant.identity.is_operator else tenant.identity.organization_id


async def organization_of(tenant: Tenant, organization_id: str) -> Record:
    """Return an organisation that the key may see, or raise `not-found`."""
    return await _seen(tenant, organization_statement, "organization", organization_id)


async def project_of(tenant: Tenant, project_id: str) -> Record:
    """Return a project that the key may see, its own or one of the organisation that it is an admin of."""
    row = await _seen(tenant, project_statement, "project", project_id)
    if row["id"] != tenant.identity.project_id and not tenant.identity.may(ORGANIZATION_ADMIN):
        raise not_found("project", project_id)
    return row


async def within(tenant: Tenant, project_id: str) -> Tenant:
    """Return the view of a project of the admin's organisation."""
    row = await project_of(tenant, project_id)
    return tenant.within(row["organization_id"], row["id"])


def create_organization(
    session: Session, organization_id: str, project_id: str, asked: OrganizationRequest, pepper: bytes
) -> Record:
    """Write an organisation, its first project and that one's key, which is in the answer and nowhere else."""
    now = utc_now(session)
    organization = Organization(id=organization_id, name=asked.name, created_at=now, **_columns(asked.limits))
    session.add(organization)
    project = Project(id=project_id, organization_id=organization_id, name=asked.name, created_at=now)
    session.add(project)
    session.flush()
    scopes = ["admin", ORGANIZATION_ADMIN]
    key, plain = create_key(session, project_id=project_id, name="admin", scopes=scopes, pepper=pepper)
    admin_key = key_view(key) | {"key": plain}
    return view_organization(_record(organization)) | {
        "project": view_project(_record(project)),
        "admin_key": admin_key,
    }


def change_organization(session: Session, organization_id: str, asked: Change) -> Record:
    """Change what is named of an organisation."""
    row = session.get_one(Organization, organization_id, with_for_update={"key_share": True})
    _change(row, asked)
    session.flush()
    return view_organization(_record(row))


def create_project(session: Session, organization_id: str, asked: ProjectRequest) -> Record:
    """Write a project."""
    row = Project(
        id=new_id("prj"),
        organization_id=organization_id,
        name=asked.name,
        created_at=utc_now(session),
        **_columns(asked.limits),
    )
    session.add(row)
    session.flush()
    return view_project(_record(row))


def change_project(session: Session, project_id: str, asked: Change) -> Record:
    """Change what is named of a project."""
    row = _locked_project(session, project_id)
    _change(row, asked)
    session.flush()
    return view_project(_record(row))


def remove_project(session: Session, project_id: str) -> None:
    """Delete a project that has nothing any more, with its counted time and keys, if others manage its organisation."""
    if project_id == DEFAULT_PROJECT_ID:
        raise Problem("state-conflict", "The first project is the operator's and stays. Delete another.")
    _locked_project(session, project_id)
    organization_id = lock_organization(session, project_id)
    held = [word for word, table in HELD.items() if _has(session, table.project_id == project_id)]
    if held:
        message = f"The project still has {', '.join(held)}. Delete them first; uploads also go by themselves in time."
        raise Problem("state-conflict", message)
    keys = session.scalars(select(ApiKey).where(ApiKey.project_id == project_id)).all()
    check_still_managed(session, organization_id, keys)
    for table in GOES_ALONG:
        session.execute(delete(table).where(table.project_id == project_id))
    session.execute(delete(Project).where(Project.id == project_id))


def view_organization(row: Record) -> Record:
    return {name: row[name] for name in ("id", "name", "created_at")} | {"limits": _limits(row)}


def view_project(row: Record) -> Record:
    return {name: row[name] for name in ("id", "organization_id", "name", "created_at")} | {"limits": _limits(row)}


def limits_named(asked: LimitsRequest) -> dict[str, int | None]:
    """Return the limits that a request names, null among them."""
    return asked.model_dump(exclude_unset=True)


async def _seen(tenant: Tenant, statement: Query, word: str, identifier: str) -> Record:
    check_id(word, identifier)
    row = await tenant.services.database.fetch_one(statement(organization_id=sight(tenant), wanted=identifier))
    if row is None:
        raise not_found(word, identifier)
    return row


def _locked_project(session: Session, project_id: str) -> Project:
    row = session.get(Project, project_id, with_for_update=True)
    if row is None:  # deleted since it was looked at
        raise not_found("project", project_id)
    return row


def _has(session: Session, condition: ColumnElement[bool]) -> bool:
    return bool(session.scalar(select(literal(True)).where(condition).limit(1)))


def _change(row: Organization | Project, asked: Change) -> None:
    if "name" in asked.model_fields_set:
        row.name = asked.name
    for name, value in _columns(asked.limits).items():
        setattr(row, name, value)


def _columns(asked: LimitsRequest) -> dict[str, Any]:
    return {f"max_{name}": value for name, value in limits_named(asked).items()}


def _limits(row: Record) -> dict[str, int | None]:
    return {name: row[f"max_{name}"] for name in LIMITS}


def _record(row: Limited) -> Record:
    columns = row.__table__.columns  # type: ignore[attr-defined]  # every row with limits is of a table
    return {column.name: getattr(row, column.name) for column in columns}
