"""`/v1/organizations`: the customers of one installation. The operator makes them; each sees itself alone.

Making one takes no Idempotency-Key: the stored answer would hold its key.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.answers import json_answer
from app.deps import Id, Operator, OrganizationAdmin
from app.errors import Problem
from app.openapi import problems
from app.pages import PageSize, PageToken, cut_page, page_object, read_page_token
from app.projects import service
from app.projects.schemas import (
    Change,
    NewOrganizationView,
    OrganizationRequest,
    OrganizationsPage,
    OrganizationView,
)
from core.ids import new_id

router = APIRouter(prefix="/v1/organizations", tags=["organizations"])

LAST_ID = "org_~"


@router.get("", response_model=OrganizationsPage, responses=problems("invalid-page-token"))
async def list_organizations(
    tenant: OrganizationAdmin, page_size: PageSize = 50, page_token: PageToken = None
) -> Response:
    """List the organisations that the key may see, newest first: its own, or for the operator all."""
    before = LAST_ID if page_token is None else read_page_token(page_token, "organizations")
    page = service.organizations_page_statement
    found = page(organization_id=service.sight(tenant), before=before, limit=page_size + 1)
    rows, following = cut_page(await tenant.services.database.fetch_all(found), page_size, "organizations")
    return json_answer(page_object("organizations", [service.view_organization(row) for row in rows], following))


@router.post("", status_code=201, response_model=NewOrganizationView)
async def create_organization(tenant: Operator, asked: OrganizationRequest) -> Response:
    """Make an organisation with a first project, and the key by which its admin makes everything else."""
    organization_id, project_id, pepper = new_id("org"), new_id("prj"), tenant.services.pepper
    made = await tenant.within(organization_id, project_id).write(
        lambda session, _: service.create_organization(session, organization_id, project_id, asked, pepper),
        details={"name": asked.name, "limits": service.limits_named(asked.limits)},
    )
    headers = {"Cache-Control": "no-store", "Location": f"/v1/organizations/{organization_id}"}
    return json_answer(made, 201, headers)


@router.get("/{organization_id}", response_model=OrganizationView, responses=problems("not-found"))
async def get_organization(organization_id: Id, tenant: OrganizationAdmin) -> Response:
    """Show an organisation."""
    return json_answer(service.view_organization(await service.organization_of(tenant, organization_id)))


@router.patch("/{organization_id}", response_model=OrganizationView, responses=problems("not-found"))
async def change_organization(organization_id: Id, tenant: OrganizationAdmin, asked: Change) -> Response:
    """Change an organisation: its name by its admin, its limits by the operator."""
    await service.organization_of(tenant, organization_id)
    if "limits" in asked.model_fields_set and not tenant.identity.is_operator:
        message = "The limits of an organisation are the operator's to set. Ask whoever runs this server."
        raise Problem("forbidden-scope", message, required_scope="admin")
    changed = await tenant.within(organization_id, tenant.project_id).write(
        lambda session, _: service.change_organization(session, organization_id, asked),
        details=asked.model_dump(exclude_unset=True),
    )
    return json_answer(changed)
