"""Jobs between rows and clients: what is shown, what is checked before a job is written, and how waiting is done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.answers import as_json
from app.deps import Tenant
from app.errors import Problem, not_found
from app.jobs.fitting import require_fitting
from app.jobs.schemas import JobRequest, ReceiptView
from app.jobs.view import NOBODY, Lines, job_view, left_of, lines
from app.memory.shown_jobs import Shown
from app.stored_files import require_usable
from core.db import BoundQuery, Record
from core.jobs import (
    TERMINAL,
    DeadlinePassed,
    JobNotFound,
    StateConflict,
    remove,
    request_cancel,
    request_pause,
    resume,
    submit,
)
from core.queries import (
    job_statement,
    job_version_statement,
    jobs_in_state_statement,
    jobs_page_statement,
    labelled_jobs,
    own_work_statement,
    running_work_statement,
    waiting_work_statement,
    workers_statement,
)
from core.tables import Job

QUEUE_OF_PROVIDER: Final = {"cpu": "cpu", "cuda": "gpu"}
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.05, 0.25


async def show(tenant: Tenant, job_id: str) -> Shown:
    """Return a job in bytes: those shown before if its version is still the same."""
    seen = await tenant.get(job_version_statement, "job", job_id, job_id=job_id)
    known = tenant.services.shown_jobs.get(tenant.project_id, job_id, seen["version"])
    if known is not None:
        return known
    row = await job_row(tenant, job_id)
    if row["queue_position"] is not None:
        row |= (await tenant.services.database.fetch_all(_ahead_of(row)))[0]
    lines_by_device = await lines_of(tenant, [row])
    body = as_json(job_view(row, lines_by_device))
    shown = Shown(row["version"], *_tag(row, lines_by_device), row["state"] in TERMINAL, body)
    if row["queue_position"] is None:  # a place in the queue changes without a change of the job
        tenant.services.shown_jobs.put(tenant.project_id, job_id, shown)
    return shown


async def wait_for_change(tenant: Tenant, job_id: str, shown: Shown, etag: str | None, seconds: float) -> Shown:
    """Return the job once it differs from `etag`, or once it has ended where no tag is given, or after `seconds`.

    Of a job that waits, its place and whether anybody serves its device count as a difference, and its time left does
    not: that changes with every beat of the jobs in hand. First looks often, then four times a second.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    look_seconds = FIRST_LOOK_SECONDS
    drain = tenant.services.drain
    while (
        not shown.is_terminal
        and (etag is None or shown.tag_start in etag)
        and loop.time() < deadline
        and not drain.is_over  # it is the next server's to wait
    ):
        await asyncio.sleep(min(look_seconds, max(0.0, deadline - loop.time())))
        look_seconds = min(look_seconds * 1.5, LAST_LOOK_SECONDS)
        shown = await show(tenant, job_id)
    return shown


def _tag(row: Record, lines_by_device: Lines) -> tuple[str, str]:
    """Return the tag of what a client sees, and how it begins until something worth waking for changes.

    It holds the row's version and, while the job waits, its place, whether it is served, and what is left.
    """
    place = row["queue_position"]
    if place is None:
        return (f'"{row["version"]}"',) * 2
    is_served = lines_by_device.get(row["device"], NOBODY).slots > 0
    left, start = left_of(row, lines_by_device), f'"{row["version"]}.{place}.{int(is_served)}.'
    return f'{start}{left.p50_seconds}.{left.p90_seconds}"', start


async def page(tenant: Tenant, *, before: str, state: str, labels: Mapping[str, str], limit: int) -> list[Record]:
    """Read a page of jobs; the way by labels is a statement of its own, because their number differs."""
    if not labels and not state:
        return await tenant.fetch_all(jobs_page_statement, before=before, limit=limit)
    if not labels:
        return await tenant.fetch_all(jobs_in_state_statement, before=before, state=state, limit=limit)
    asked = labelled_jobs(tenant.project_id, labels=labels, before=before, state=state, limit=limit)
    return await tenant.services.database.fetch_all(asked)


async def lines_of(tenant: Tenant, rows: Iterable[Record]) -> Lines:
    """Read what stands in line for the devices, and who works on it; reads nothing where none of the rows waits."""
    if all(row["queue_position"] is None for row in rows):
        return {}
    statements = _of_lines(tenant.project_id)
    return lines(*[await tenant.services.database.fetch_all(statement) for statement in statements])


async def job_row(tenant: Tenant, job_id: str) -> Record:
    """Read a job that must be there, with its place in the queue."""
    return await tenant.get(job_statement, "job", job_id, job_id=job_id)


def create(session: Session, project_id: str, asked: JobRequest) -> Record:
    """Write a job for a model and images that the project has, by a recipe that fits the model."""
    require_usable(session, project_id, asked.model_id, asked.dataset_id)
    require_fitting(session, project_id, asked.model_id, asked.recipe)
    try:
        job = submit(
            session,
            project_id=project_id,
            model_id=asked.model_id,
            dataset_id=asked.dataset_id,
            recipe=asked.recipe.model_dump(mode="json"),
            labels=asked.labels,
            device=QUEUE_OF_PROVIDER[asked.recipe.deploy.provider],
            priority=asked.priority,
            deadline_at=asked.deadline,
        )
    except DeadlinePassed as error:
        detail = f"{error} Give a moment that is still to come, or none."
        errors = [{"pointer": "/deadline", "code": "deadline-passed", "detail": detail}]
        raise Problem("validation-failed", f"/deadline: {detail}", errors=errors) from error
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
        priority=old.priority,
    )
    return _view_in(session, new)


def cancel(session: Session, project_id: str, job_id: str) -> Record:
    """Ask for a job's end; asking for a cancelled job's end again changes nothing."""
    with _refusals_told(job_id, "It has ended and cannot be cancelled. GET it to see how it ended."):
        return _view_in(session, request_cancel(session, project_id, job_id))


def pause(session: Session, project_id: str, job_id: str) -> Record:
    """Ask for a job to be held; asking twice is asking once."""
    with _refusals_told(job_id, "Only a job that waits, is inspected or runs can be paused."):
        return _view_in(session, request_pause(session, project_id, job_id))


def go_on(session: Session, project_id: str, job_id: str) -> Record:
    """Let a paused job wait for a worker again."""
    with _refusals_told(job_id, "Only a paused job can be resumed; one that is pausing is paused in seconds."):
        return _view_in(session, resume(session, project_id, job_id))


def forget(session: Session, project_id: str, job_id: str) -> dict[str, Any]:
    """Delete a job that has ended, with its events and artifacts, and return the receipt."""
    with _refusals_told(job_id, "Cancel it and wait for its end before deleting it."):
        receipt = remove(session, project_id, job_id)
    return {name: getattr(receipt, name) for name in ReceiptView.model_fields}


@contextmanager
def _refusals_told(job_id: str, what_to_do: str) -> Iterator[None]:
    """Say of a job that it is not there, or in a state in which it cannot be done."""
    try:
        yield
    except JobNotFound as error:
        raise not_found("job", job_id) from error
    except StateConflict as error:
        message = f"Job {job_id} is {error.found}. {what_to_do}"
        raise Problem("state-conflict", message, state=error.found) from error


def _view_in(session: Session, job: Job) -> Record:
    """Read the job back inside the transaction that changed it, as clients see it, with its place in the queue."""
    session.flush()
    row = job_statement(project_id=job.project_id, job_id=job.id).one(session)
    assert row is not None
    if row["queue_position"] is None:
        return job_view(row)
    (ahead,) = _ahead_of(row).all(session)
    return job_view(row | ahead, lines_in(session, job.project_id))


def lines_in(session: Session, project_id: str) -> Lines:
    """Read what stands in line for the devices inside a transaction, a project's own jobs aside."""
    return lines(*(statement.all(session) for statement in _of_lines(project_id)))


def _of_lines(project_id: str) -> tuple[BoundQuery, ...]:
    return workers_statement(), running_work_statement(), waiting_work_statement(project_id=project_id)


def _ahead_of(row: Record) -> BoundQuery:
    names = ("project_id", "device", "priority")
    return own_work_statement(job_id=row["id"], **{name: row[name] for name in names})
