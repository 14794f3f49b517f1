"""Jobs between rows and clients: what is shown, what is checked before a job is written, and how waiting is done."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.answers import as_json
from app.deps import Tenant
from app.errors import Problem, not_found
from app.jobs.schemas import JobRequest, JobView
from app.memory.shown_jobs import Shown
from app.stored_files import require_usable
from core.db import Record
from core.jobs import TERMINAL, JobNotFound, StateConflict, remove, request_cancel, submit
from core.queries import job_statement, job_version_statement
from core.tables import Job

QUEUE_OF_PROVIDER: Final = {"cpu": "cpu", "cuda": "gpu"}
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.05, 0.25

_SHOWN: Final = tuple(name for name in JobView.model_fields if name not in ("created_at", "links"))


def job_view(row: Record) -> dict[str, Any]:
    """Return a job as clients see it."""
    view = {name: row[name] for name in _SHOWN}
    path = f"/v1/jobs/{row['id']}"
    view["created_at"] = row["submitted_at"]
    view["links"] = {
        "self": path,
        "events": path + "/events",
        "artifacts": path + "/artifacts",
        "candidates": path + "/candidates",
        "report": path + "/report",
    }
    return view


async def show(tenant: Tenant, job_id: str) -> Shown:
    """Return a job in bytes: those shown before if its version is still the same."""
    seen = await tenant.get(job_version_statement, "job", job_id, job_id=job_id)
    known = tenant.services.shown_jobs.get(tenant.project_id, job_id, seen["version"])
    if known is not None:
        return known
    row = await job_row(tenant, job_id)
    shown = Shown(row["version"], _etag(row), row["state"] in TERMINAL, as_json(job_view(row)))
    if row["queue_position"] is None:  # a place in the queue changes without a change of the job
        tenant.services.shown_jobs.put(tenant.project_id, job_id, shown)
    return shown


async def wait_for_change(tenant: Tenant, job_id: str, shown: Shown, etag: str | None, seconds: float) -> Shown:
    """Return the job once it differs from `etag`, or once it has ended where no tag is given, or after `seconds`.

    First looks often, then four times a second.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    look_seconds = FIRST_LOOK_SECONDS
    while not shown.is_terminal and (etag is None or shown.etag in etag) and loop.time() < deadline:
        await asyncio.sleep(min(look_seconds, max(0.0, deadline - loop.time())))
        look_seconds = min(look_seconds * 1.5, LAST_LOOK_SECONDS)
        shown = await show(tenant, job_id)
    return shown


def _etag(row: Record) -> str:
    """Return the tag of what a client sees: the row's version and, while it waits, its place in the queue."""
    place = row["queue_position"]
    return f'"{row["version"]}"' if place is None else f'"{row["version"]}.{place}"'


async def job_row(tenant: Tenant, job_id: str) -> Record:
    return await tenant.get(job_statement, "job", job_id, job_id=job_id)


def create(session: Session, project_id: str, asked: JobRequest) -> Record:
    """Write a job for a model and images that the project has."""
    require_usable(session, project_id, asked.model_id, asked.dataset_id)
    job = submit(
        session,
        project_id=project_id,
        model_id=asked.model_id,
        dataset_id=asked.dataset_id,
        recipe=asked.recipe.model_dump(mode="json"),
        labels=asked.labels,
        device=QUEUE_OF_PROVIDER[asked.recipe.deploy.provider],
    )
    return _view_in(session, job)


def retry(session: Session, project_id: str, job_id: str) -> Record:
    """Write a new job like one that has ended; the old one stays as it is."""
    old = session.scalars(select(Job).where(Job.id == job_id, Job.project_id == project_id)).first()
    if old is None:
        raise not_found("job", job_id)
    if old.state not in TERMINAL:
        raise Problem(
            "state-conflict", f"Job {job_id} is {old.state}. Cancel it first, or wait for its end.", state=old.state
        )
    new = submit(
        session,
        project_id=project_id,
        model_id=old.model_id,
        dataset_id=old.dataset_id,
        recipe=old.recipe,
        labels=old.labels,
        device=old.device,
        retry_of=old.id,
    )
    return _view_in(session, new)


def cancel(session: Session, project_id: str, job_id: str) -> Record:
    """Ask for a job's end; asking for a cancelled job's end again changes nothing."""
    try:
        job = request_cancel(session, project_id, job_id)
    except JobNotFound as error:
        raise not_found("job", job_id) from error
    except StateConflict as error:
        message = f"Job {job_id} is {error.found}: it has ended and cannot be cancelled. GET it to see how it ended."
        raise Problem("state-conflict", message, state=error.found) from error
    return _view_in(session, job)


def forget(session: Session, project_id: str, job_id: str) -> None:
    """Delete a job that has ended, with its events and artifacts."""
    try:
        remove(session, project_id, job_id)
    except JobNotFound as error:
        raise not_found("job", job_id) from error
    except StateConflict as error:
        message = f"Job {job_id} is {error.found}. Cancel it and wait for its end before deleting it."
        raise Problem("state-conflict", message, state=error.found) from error


def _view_in(session: Session, job: Job) -> Record:
    """Read the job back inside the transaction that changed it, with its place in the queue."""
    session.flush()
    row = job_statement(project_id=job.project_id, job_id=job.id).one(session)
    assert row is not None
    return row
