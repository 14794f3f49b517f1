"""`/v1/methods`, `/v1/limits`, `/v1/me`, the problems, and a page that lists every path."""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app.answers import json_answer
from app.catalogue.codes import explained
from app.catalogue.reference import reference_page
from app.catalogue.schemas import Limits, Me, MethodsList, ProblemKind
from app.deps import Reader
from app.errors import Problem
from app.openapi import problems
from engine.recipe import METHODS

router = APIRouter(tags=["catalogue"])
keyed = APIRouter(prefix="/v1")


@keyed.get("/methods", response_model=MethodsList)
async def list_methods(_tenant: Reader) -> Response:
    """List the methods, each with the JSON schema of its settings."""
    return json_answer({"methods": [_method(name) for name in METHODS]})


@keyed.get("/limits", response_model=Limits)
async def get_limits(tenant: Reader) -> Response:
    """Tell every limit before it is met."""
    settings = tenant.services.settings
    limits = Limits(
        max_upload_bytes=settings.max_upload_bytes,
        upload_max_age_seconds=settings.upload_max_age_seconds,
        max_request_bytes=settings.max_request_bytes,
        requests_per_minute=tenant.services.pace_of(tenant.identity.requests_per_minute),
        retention_days=settings.retention_days,
        webhooks_per_project=settings.webhooks_per_project,
    )
    return json_answer(limits.model_dump())


@keyed.get("/me", response_model=Me)
async def get_me(tenant: Reader) -> Response:
    """Tell what the key stands for."""
    identity = tenant.identity
    me = Me(
        organization_id=identity.organization_id,
        project_id=identity.project_id,
        key_id=identity.key_id,
        key_name=identity.key_name,
        scopes=sorted(identity.scopes),
        expires_at=identity.expires_at,
    )
    return json_answer(me.model_dump())


@router.get("/problems/{code}", response_model=ProblemKind, responses=problems("not-found"))
async def get_problem(code: str) -> Response:
    """Explain the `type` of a problem, or of a job's error."""
    found = explained(code)
    if found is None:
        raise Problem("not-found", f"'{code[:80]}' is no problem of this server's. Check that it was copied whole.")
    return json_answer(found)


@router.get("/docs", include_in_schema=False)
async def list_paths(request: Request) -> Response:
    """Show the whole document on one page of our own: no script, nothing from another server."""
    return HTMLResponse(
        reference_page(request.app.openapi()), headers={"Content-Security-Policy": "default-src 'none'"}
    )


router.include_router(keyed)


def _method(name: str) -> dict[str, Any]:
    method = METHODS[name]
    return {"name": name, "description": inspect.getdoc(method), "schema": method.model_json_schema()}
