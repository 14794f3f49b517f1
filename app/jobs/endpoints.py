"""`/v1/jobs`: the main road of the service; its poll takes the short way of `app.polling`."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Reader, Writer, check_id
from app.errors import Problem
from app.idempotency import Answer, once
from app.jobs import events, service
from app.jobs.schemas import EventsPage, JobRequest, JobsPage, JobView
from app.openapi import EVENT_STREAM, IDEMPOTENT, NOT_MODIFIED, WAITING, problems
from app.pages import PageSize, PageToken, cut_page, page_object, read_page_token
from app.polling import PollRoute
from core.queries import LAST_JOB_ID, events_statement, job_report_statement, jobs_page_statement
from core.tables import JobState
from engine.report import Report

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(401, 403))
polls = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=problems(401, 403), route_class=PollRoute)

WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)
LONGEST_WAIT_SECONDS = 60
After = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Only events behind this number.")]


@polls.get("/{job_id}", response_model=JobView, responses=problems(404) | NOT_MODIFIED, openapi_extra=WAITING)
async def get_job(request: Request, tenant: Reader, job_id: str) -> Response:
    """Show a job. `If-None-Match` makes an unchanged one cheap; `Prefer: wait=N` waits for a change, or the end."""
    shown = await service.show(tenant, job_id)
    etag = request.headers.get("If-None-Match")
    headers = {"Cache-Control": "no-cache"}
    seconds = _wait_seconds(request.headers.get("Prefer"))
    if seconds is not None:
        headers["Preference-Applied"] = f"wait={seconds}"
        shown = await service.wait_for_change(tenant, job_id, shown, etag, seconds)
    headers["ETag"] = shown.etag
    if etag is not None and shown.etag in etag:
        return Response(status_code=304, headers=headers)
    return Response(shown.body, headers=headers, media_type="application/json")


@router.post("", status_code=202, response_model=JobView, responses=problems(404, 409), openapi_extra=IDEMPOTENT)
async def create_job(request: Request, tenant: Writer, asked: JobRequest) -> Response:
    """Ask for a job. It is written before the answer and will be done, whatever happens to this server."""

    def work(session: Session, project_id: str) -> Answer:
        row = service.create(session, project_id, asked)
        return Answer(202, service.job_view(row), f"/v1/jobs/{row['id']}")

    response = await once(tenant, request, asked.model_dump(mode="json"), work)
    tenant.services.job_written.set()
    return response


@router.get("", response_model=JobsPage, responses=problems(400))
async def list_jobs(
    tenant: Reader, state: JobState | None = None, page_size: PageSize = 50, page_token: PageToken = None
) -> Response:
    """List the project's jobs, newest first."""
    filters = f"jobs:{state or ''}"
    before = LAST_JOB_ID if page_token is None else read_page_token(page_token, filters)
    rows = await tenant.fetch_all(jobs_page_statement, before=before, state=state or "", limit=page_size + 1)
    shown, following = cut_page(rows, page_size, filters)
    return json_answer(page_object("jobs", [service.job_view(row) for row in shown], following))


@router.post("/{job_id}/cancel", status_code=202, response_model=JobView, responses=problems(404, 409))
async def cancel_job(job_id: str, tenant: Writer) -> Response:
    """Stop a job: at once while it waits, within seconds while it runs."""
    check_id("job", job_id)
    row = await tenant.write(lambda session, project_id: service.cancel(session, project_id, job_id))
    return json_answer(service.job_view(row), 202, {"Location": f"/v1/jobs/{job_id}"})


@router.post(
    "/{job_id}/retry", status_code=202, response_model=JobView, responses=problems(404, 409), openapi_extra=IDEMPOTENT
)
async def retry_job(request: Request, job_id: str, tenant: Writer) -> Response:
    """Make a new job like one that has ended."""
    check_id("job", job_id)

    def work(session: Session, project_id: str) -> Answer:
        row = service.retry(session, project_id, job_id)
        return Answer(202, service.job_view(row), f"/v1/jobs/{row['id']}")

    response = await once(tenant, request, {"retry_of": job_id}, work)
    tenant.services.job_written.set()
    return response


@router.delete("/{job_id}", status_code=204, responses=problems(404, 409))
async def delete_job(job_id: str, tenant: Writer) -> Response:
    """Delete a job that has ended, with its events and artifacts."""
    check_id("job", job_id)
    await tenant.write(lambda session, project_id: service.forget(session, project_id, job_id))
    return Response(status_code=204)


@router.get("/{job_id}/report", response_model=Report, responses=problems(404))
async def get_report(job_id: str, tenant: Reader) -> Response:
    """Show what came of a job: measured numbers with their intervals, what was cut and why."""
    row = await tenant.get(job_report_statement, "job", job_id, job_id=job_id)
    if row["report"] is None:
        message = f"Job {job_id} is {row['state']} and has no report. A report is there once a job has succeeded."
        raise Problem("not-found", message)
    return json_answer(row["report"])


@router.get("/{job_id}/events", response_model=EventsPage, responses=problems(404) | EVENT_STREAM)
async def get_events(request: Request, job_id: str, tenant: Reader, after: After = None) -> Response:
    """Show a job's history; with `Accept: text/event-stream`, follow it to its end."""
    await service.job_row(tenant, job_id)
    start = events.start_of(request, after)
    if events.wants_stream(request):
        return events.stream(tenant, job_id, start)
    rows = await tenant.fetch_all(events_statement, job_id=job_id, after=start, limit=events.PAGE_EVENTS)
    return json_answer({"events": rows})


def _wait_seconds(prefer: str | None) -> int | None:
    """Return how long a client is willing to wait, at most 60 s; None when it does not say (RFC 7240)."""
    found = WAIT.search(prefer) if prefer else None
    return None if found is None else min(int(found.group(1)), LONGEST_WAIT_SECONDS)
