"""`/v1/audit`: who changed what, newest first; of the whole organisation for its admin, of one project for others."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from sqlalchemy import String, bindparam, or_, select

from app.answers import json_answer
from app.audit.schemas import AuditPage
from app.deps import AuditReader
from app.errors import Problem
from app.openapi import problems
from app.pages import PageSize, PageToken, page_object, page_token, read_page_token
from app.projects.service import organization_of
from core.db import Query as Statement
from core.scopes import ORGANIZATION_ADMIN
from core.tables import AuditEntry

router = APIRouter(prefix="/v1/audit", tags=["audit"])

LAST_SEQ: Final = 2**62
DIGITS: Final = 26  # of an id, whose shape the numbers take in a page's token
Organization = Annotated[str | None, Query(max_length=64, description="For the operator: another organisation's.")]

page_statement: Final = Statement(
    select(*AuditEntry.__table__.columns)
    .where(
        AuditEntry.organization_id == bindparam("organization_id"),
        or_(bindparam("project_id", type_=String) == "", AuditEntry.project_id == bindparam("project_id")),
        AuditEntry.seq < bindparam("before"),
    )
    .order_by(AuditEntry.seq.desc())
    .limit(bindparam("limit"))
)


@router.get(
    "",
    name="list_audit_entries",
    response_model=AuditPage,
    responses=problems("invalid-page-token", "not-found"),
)
async def list_entries(
    tenant: AuditReader,
    organization_id: Organization = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Response:
    """List the entries of the audit log, newest first."""
    owner = organization_id or tenant.identity.organization_id
    await organization_of(tenant, owner)
    project_id = "" if tenant.identity.may(ORGANIZATION_ADMIN) else tenant.identity.project_id
    filters = f"audit:{owner}:{project_id}"
    before = LAST_SEQ if page_token is None else _seq_of(read_page_token(page_token, filters))
    found = page_statement(organization_id=owner, project_id=project_id, before=before, limit=page_size + 1)
    rows = await tenant.services.database.fetch_all(found)
    following = _token(rows[page_size - 1]["seq"], filters) if len(rows) > page_size else None
    return json_answer(page_object("entries", rows[:page_size], following))


def _seq_of(last_id: str) -> int:
    digits = last_id.partition("_")[2]
    if not digits.isdigit():
        raise Problem("invalid-page-token", "page_token: It was cut or changed. Begin again without a page_token.")
    return min(int(digits), LAST_SEQ)


def _token(seq: int, filters: str) -> str:
    return page_token(f"aud_{seq:0{DIGITS}}", filters)
