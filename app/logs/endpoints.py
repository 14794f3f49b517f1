"""`/v1/jobs/{job_id}/log`: a text that can be followed by asking for what is new of it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.deps import Reader
from app.jobs.service import job_row
from app.logs.text import answer
from app.openapi import LOG, RANGES, problems

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

ANSWERS = LOG | problems("not-found", "precondition-failed", "range-not-satisfiable", "storage-unavailable")


@router.get("/{job_id}/log", response_class=Response, responses=ANSWERS, openapi_extra=RANGES)
async def get_log(request: Request, job_id: str, tenant: Reader) -> Response:
    """Show a job's log as text, secrets taken out: what was told of it, and what the engine wrote.

    It only grows: `Range: bytes=N-` fetches what came behind the N bytes that a client has, 416 says that nothing did.
    """
    return await answer(request, tenant, await job_row(tenant, job_id))


@router.head("/{job_id}/log", response_class=Response, responses=ANSWERS, openapi_extra=RANGES)
async def head_log(request: Request, job_id: str, tenant: Reader) -> Response:
    """Tell the length of a job's log."""
    return await answer(request, tenant, await job_row(tenant, job_id))
