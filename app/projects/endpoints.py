"""`/v1/projects` and `/v1/usage`: the projects of an organisation, their limits, their keys, and what they have."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Id, OrganizationAdmin, Reader
from app.idempotency import Answer, once
from app.keys import service as keys
from app.keys.schemas import KeyRequest, KeysList, NewKeyView
from app.openapi import IDEMPOTENT, problems
from app.pages import PageSize, PageToken, cut_page, page_object, read_page_token
from app.projects import service
from app.projects.schemas import Change, ProjectRequest, ProjectsPage, ProjectView, UsageView
from app.projects.usage import Month, usage_of

router = APIRouter(prefix="/v1", tags=["projects"])

LAST_ID = "prj_~"
Organization = Annotated[str | None, Query(max_length=64, description="For the operator: another organisation's.")]


@router.get("/usage", response_model=UsageView)
async def get_usage(tenant: Reader, month: Month = None) -> Response:
    """Show what the key's project has, what it may have, and what its jobs took in a month."""
    return json_answer(await usage_of(tenant, month))


@router.get("/projects", response_model=ProjectsPage, responses=problems("invalid-page-token", "not-found"))
async def list_projects(
    tenant: OrganizationAdmin,
    organization_id: Organization = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Response:
    """List the organisation's projects, newest first."""
    owner = organization_id or tenant.identity.organization_id
    await service.organization_of(tenant, owner)
    filters = f"projects:{owner}"
    before = LAST_ID if page_token is None else read_page_token(page_token, filters)
    found = service.projects_page_statement(organization_id=owner, before=before, limit=page_size + 1)
    rows, following = cut_page(await tenant.services.database.fetch_all(found), page_size, filters)
    return json_answer(page_object("projects", [service.view_project(row) for row in rows], following))


@router.post(
    "/projects",
    status_code=201,
    response_model=ProjectView,
    responses=problems("not-found", "state-conflict"),
    openapi_extra=IDEMPOTENT,
)
async def create_project(request: Request, tenant: OrganizationAdmin, asked: ProjectRequest) -> Response:
    """Make a project. Keys for it are made at `POST /v1/projects/{project_id}/keys`."""
    owner = asked.organization_id or tenant.identity.organization_id
    await service.organization_of(tenant, owner)

    def work(session: Session, _asker: str) -> Answer:
        view = service.create_project(session, owner, asked)
        return Answer(201, view, f"/v1/projects/{view['id']}")

    return await once(tenant.within(owner, tenant.project_id), request, asked.model_dump(exclude_unset=True), work)


@router.get("/projects/{project_id}", response_model=ProjectView, responses=problems("not-found"))
async def get_project(project_id: Id, tenant: Reader) -> Response:
    """Show a project."""
    return json_answer(service.view_project(await service.project_of(tenant, project_id)))


@router.patch("/projects/{project_id}", response_model=ProjectView, responses=problems("not-found"))
async def change_project(project_id: Id, tenant: OrganizationAdmin, asked: Change) -> Response:
    """Change a project's name or limits. Beside its own limits those of its organisation hold, the stricter of two."""
    changed = await (await service.within(tenant, project_id)).write(
        lambda session, mine: service.change_project(session, mine, asked),
        details=asked.model_dump(exclude_unset=True),
    )
    return json_answer(changed)


@router.delete("/projects/{project_id}", status_code=204, responses=problems("not-found", "state-conflict"))
async def delete_project(project_id: Id, tenant: OrganizationAdmin) -> Response:
    """Delete a project that has no jobs, models, datasets, uploads and webhooks any more; its keys go with it."""
    await (await service.within(tenant, project_id)).write(service.remove_project)
    return Response(status_code=204)


@router.get("/projects/{project_id}/usage", response_model=UsageView, responses=problems("not-found"))
async def get_project_usage(project_id: Id, tenant: Reader, month: Month = None) -> Response:
    """Show what a project has, what it may have, and what its jobs took in a month."""
    return json_answer(await usage_of(await service.within(tenant, project_id), month))


@router.get("/projects/{project_id}/keys", response_model=KeysList, responses=problems("not-found"))
async def list_project_keys(project_id: Id, tenant: OrganizationAdmin) -> Response:
    """List a project's keys, those taken back too."""
    return await keys.list_all(await service.within(tenant, project_id))


@router.post("/projects/{project_id}/keys", status_code=201, response_model=NewKeyView, responses=problems("not-found"))
async def create_project_key(project_id: Id, tenant: OrganizationAdmin, asked: KeyRequest) -> Response:
    """Make a key for a project."""
    return await keys.create(await service.within(tenant, project_id), asked)


@router.delete(
    "/projects/{project_id}/keys/{key_id}", status_code=204, responses=problems("not-found", "state-conflict")
)
async def revoke_project_key(project_id: Id, key_id: Id, tenant: OrganizationAdmin) -> Response:
    """Take a project's key back; within a second it opens nothing more."""
    return await keys.revoke(await service.within(tenant, project_id), key_id)
