"""`/v1/jobs`: the main road of the service; its poll takes the short way of `app.polling`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Reader, Writer, check_id
from app.idempotency import Answer, once
from app.jobs import events, service
from app.jobs.schemas import EventsPage, JobRequest, JobsPage, JobView, ReceiptView
from app.jobs.view import job_view
from app.openapi import EVENT_STREAM, IDEMPOTENT, JOB_SHOWN, PREFER, WAITING, Responses, heading, problems, told
from app.pages import PageSize, PageToken, cut_page, page_object, read_page_token
from app.polling import PollRoute, SubmitRoute
from app.words import LabelFilter
from core.queries import LAST_JOB_ID, events_statement, receipt_statement
from core.tables import JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
polls = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=PollRoute)
submissions = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=SubmitRoute)

WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)
LONGEST_WAIT_SECONDS = 60
ACCEPTED: Responses = {
    200: {"model": JobView, "description": "The job has ended: a client waited for it."}
    | told("Location", "Preference-Applied"),
    202: told("Location", "Preference-Applied"),
}
CHANGED: Responses = heading(202, "Location") | problems("not-found", "state-conflict")
REFUSED = ("not-found", "quota-exceeded")
UNUSABLE = ("model-rejected", "dataset-rejected")
SUBMITTING = {"parameters": [*IDEMPOTENT["parameters"], PREFER]}
After = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Only events behind this number.")]


@polls.get("/{job_id}", response_model=JobView, responses=problems("not-found") | JOB_SHOWN, openapi_extra=WAITING)
async def get_job(request: Request, tenant: Reader, job_id: str) -> Response:
    """Show a job. `If-None-Match` makes an unchanged one cheap; `Prefer: wait=N` waits for a change, or the end.

    The time left of a job that waits changes its tag, and does not end such a wait.
    """
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


@submissions.post(
    "",
    status_code=202,
    response_model=JobView,
    responses=ACCEPTED | problems(*REFUSED, *UNUSABLE),
    openapi_extra=SUBMITTING,
)
async def create_job(request: Request, tenant: Writer, asked: JobRequest) -> Response:
    """Ask for a job. It is written before the answer and will be done, whatever happens to this server.

    With `Prefer: wait=N` the answer comes when the job has ended (200), or after N seconds (202).
    """

    def work(session: Session, project_id: str) -> Answer:
        view = service.create(session, project_id, asked)
        return Answer(202, view, view["links"]["self"])

    return await _waited(tenant, request, await once(tenant, request, asked, work))


@router.get("", response_model=JobsPage, responses=problems("invalid-page-token"))
async def list_jobs(
    tenant: Reader,
    state: JobState | None = None,
    label: LabelFilter = None,
    page_size: PageSize = 50,
    page_token: PageToken = None,
) -> Response:
    """List the project's jobs, newest first."""
    labels = dict(sorted(text.partition("=")[::2] for text in label or ()))
    filters = f"jobs:{state or ''}" + "".join(f"&{name}={value}" for name, value in labels.items())
    before = LAST_JOB_ID if page_token is None else read_page_token(page_token, filters)
    rows = await service.page(tenant, before=before, state=state or "", labels=labels, limit=page_size + 1)
    shown, following = cut_page(rows, page_size, filters)
    lines_by_device = await service.lines_of(tenant, shown)
    return json_answer(page_object("jobs", [job_view(row, lines_by_device) for row in shown], following))


@router.post("/{job_id}/cancel", status_code=202, response_model=JobView, responses=CHANGED)
async def cancel_job(job_id: str, tenant: Writer) -> Response:
    """Stop a job: at once while it waits, within seconds while it runs."""
    return await _changed(tenant, job_id, service.cancel)


@router.post("/{job_id}/pause", status_code=202, response_model=JobView, responses=CHANGED)
async def pause_job(job_id: str, tenant: Writer) -> Response:
    """Hold a job: at once while it waits, within seconds while it runs. It keeps its checkpoints and its progress."""
    return await _changed(tenant, job_id, service.pause)


@router.post("/{job_id}/resume", status_code=202, response_model=JobView, responses=CHANGED)
async def resume_job(job_id: str, tenant: Writer) -> Response:
    """Let a paused job wait for a worker again, who goes on from its last checkpoint."""
    return await _changed(tenant, job_id, service.go_on)


@router.post(
    "/{job_id}/retry",
    status_code=202,
    response_model=JobView,
    responses=ACCEPTED | problems(*REFUSED, "state-conflict"),
    openapi_extra=SUBMITTING,
)
async def retry_job(request: Request, job_id: str, tenant: Writer) -> Response:
    """Make a new job like one that has ended, without its deadline; `Prefer: wait=N` works as with a new job."""
    check_id("job", job_id)

    def work(session: Session, project_id: str) -> Answer:
        view = service.retry(session, project_id, job_id)
        return Answer(202, view, view["links"]["self"])

    return await _waited(tenant, request, await once(tenant, request, {"retry_of": job_id}, work))


@router.delete(
    "/{job_id}",
    response_model=ReceiptView,
    responses=heading(200, "Location") | problems("not-found", "state-conflict"),
)
async def delete_job(job_id: str, tenant: Writer) -> Response:
    """Delete a job that has ended, with its events and artifacts; the receipt stays at `/v1/jobs/{job_id}/receipt`."""
    check_id("job", job_id)
    receipt = await tenant.write(lambda session, project_id: service.forget(session, project_id, job_id))
    return json_answer(receipt, headers={"Location": f"/v1/jobs/{job_id}/receipt"})


@router.get("/{job_id}/receipt", response_model=ReceiptView, responses=problems("not-found"))
async def get_receipt(job_id: str, tenant: Reader) -> Response:
    """Show the receipt of a job that was deleted."""
    row = await tenant.get(receipt_statement, "deleted job", job_id, job_id=job_id)
    return json_answer({name: row[name] for name in ReceiptView.model_fields})


@router.get("/{job_id}/events", response_model=EventsPage, responses=problems("not-found") | EVENT_STREAM)
async def get_events(request: Request, job_id: str, tenant: Reader, after: After = None) -> Response:
    """Show a job's history; with `Accept: text/event-stream`, follow it to its end.

    A stream without `event: end` was cut, or its server stops: come back with `Last-Event-ID`, and nothing is lost.
    """
    await service.job_row(tenant, job_id)
    start = events.start_of(request, after)
    if events.wants_stream(request):
        return events.stream(tenant, job_id, start)
    rows = await tenant.fetch_all(events_statement, job_id=job_id, after=start, limit=events.PAGE_EVENTS)
    return json_answer({"events": rows})


async def _changed(tenant: Writer, job_id: str, work: Callable[[Session, str, str], dict[str, Any]]) -> Response:
    """Do what is asked of one job and show it."""
    check_id("job", job_id)
    view = await tenant.write(lambda session, project_id: work(session, project_id, job_id))
    tenant.services.job_written.set()
    return json_answer(view, 202, {"Location": f"/v1/jobs/{job_id}"})


async def _waited(tenant: Writer, request: Request, response: Response) -> Response:
    """Let a new job's bell be rung and, where the client would rather wait, show how the job stands after that."""
    tenant.services.job_written.set()
    seconds = _wait_seconds(request.headers.get("Prefer"))
    if seconds is None:
        return response
    job_id = response.headers["Location"].rpartition("/")[2]
    shown = await service.wait_for_change(tenant, job_id, await service.show(tenant, job_id), None, seconds)
    kept = {name: response.headers[name] for name in ("Location", "Idempotency-Replayed") if name in response.headers}
    headers = kept | {"Preference-Applied": f"wait={seconds}"}
    return Response(shown.body, 200 if shown.is_terminal else 202, headers=headers, media_type="application/json")


def _wait_seconds(prefer: str | None) -> int | None:
    """Return how long a client is willing to wait, at most 60 s; None when it does not say (RFC 7240)."""
    found = WAIT.search(prefer) if prefer else None
    return None if found is None else min(int(found.group(1)), LONGEST_WAIT_SECONDS)
