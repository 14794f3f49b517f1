"""`/v1/artifacts`: what a job delivered, resumable and checkable byte for byte."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from app.answers import json_answer
from app.artifacts.content import content_of
from app.artifacts.schemas import ArtifactsList, ArtifactView
from app.deps import Reader, Tenant
from app.jobs.service import job_row
from app.openapi import CONTENT, RANGES, problems
from core.db import Record
from core.queries import artifact_statement, artifacts_statement
from core.settings import Settings

router = APIRouter(prefix="/v1", tags=["artifacts"], responses=problems("not-found"))

CONTENT_RESPONSES = CONTENT | problems(
    "not-found", "artifact-gone", "precondition-failed", "range-not-satisfiable", "storage-unavailable"
)


@router.get("/jobs/{job_id}/artifacts", response_model=ArtifactsList)
async def list_artifacts(job_id: str, tenant: Reader) -> Response:
    """List what a job has delivered."""
    await job_row(tenant, job_id)
    rows = await tenant.fetch_all(artifacts_statement, job_id=job_id)
    return json_answer({"artifacts": [artifact_view(row) for row in rows]})


@router.get("/artifacts/{artifact_id}", response_model=ArtifactView)
async def get_artifact(artifact_id: str, tenant: Reader) -> Response:
    """Show one artifact."""
    return json_answer(artifact_view(await _artifact(tenant, artifact_id)))


@router.get(
    "/artifacts/{artifact_id}/content",
    name="get_artifact_content",
    response_class=Response,
    responses=CONTENT_RESPONSES,
    openapi_extra=RANGES,
)
async def get_content(request: Request, artifact_id: str, tenant: Reader) -> Response:
    """Download an artifact, or a range of it. The ETag is its sha256.

    Where clients can reach the store themselves, a redirect leads there, for a while.
    """
    services, artifact = tenant.services, await _artifact(tenant, artifact_id)
    return await content_of(request, services.storage, artifact, signed_seconds(services.settings))


@router.head(
    "/artifacts/{artifact_id}/content",
    name="head_artifact_content",
    response_class=Response,
    responses=CONTENT_RESPONSES,
    openapi_extra=RANGES,
)
async def head_content(request: Request, artifact_id: str, tenant: Reader) -> Response:
    """Tell an artifact's size and digest."""
    return await content_of(request, tenant.services.storage, await _artifact(tenant, artifact_id))


def signed_seconds(settings: Settings) -> int | None:
    """Say how long an address in the store is good for; None where clients may not be able to reach the store.

    An endpoint of one's own is often reachable from within only: then the settings name a public one, or none.
    """
    can_be_reached = settings.s3_public_endpoint is not None or settings.s3_endpoint is None
    return settings.signed_url_seconds if can_be_reached else None


def artifact_view(row: Record) -> dict[str, Any]:
    """Return an artifact as clients see it."""
    view = {name: row[name] for name in ArtifactView.model_fields if name != "links"}
    return view | {"links": {"content": f"/v1/artifacts/{row['id']}/content"}}


async def _artifact(tenant: Tenant, artifact_id: str) -> Record:
    return await tenant.get(artifact_statement, "artifact", artifact_id, artifact_id=artifact_id)
