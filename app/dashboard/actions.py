"""What the buttons and links of a job's page do: hold, go on, cancel, try again, download."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from app.artifacts.content import content_of
from app.dashboard.job_view import load_job
from app.dashboard.render import HEADERS, PageError
from app.dashboard.visit import Visit
from app.jobs import service
from core.db import Record
from core.queries import artifact_statement


async def cancel(visit: Visit) -> Response:
    """Ask for the job's end and show its page again."""
    job = await _job(visit)
    await _write(visit, job, service.cancel)
    return _to_job(job["id"])


async def pause(visit: Visit) -> Response:
    """Hold the job and show its page again."""
    job = await _job(visit)
    await _write(visit, job, service.pause)
    return _to_job(job["id"])


async def resume(visit: Visit) -> Response:
    """Let the job go on and show its page again."""
    job = await _job(visit)
    await _write(visit, job, service.go_on)
    visit.services.job_written.set()
    return _to_job(job["id"])


async def retry(visit: Visit) -> Response:
    """Submit the same again as a new job and show that one."""
    job = await _job(visit)
    new = await _write(visit, job, service.retry)
    visit.services.job_written.set()
    return _to_job(new["id"])


async def download(visit: Visit) -> Response:
    """Send one file of the job."""
    job = await _job(visit)
    wanted = artifact_statement(project_id=job["project_id"], artifact_id=visit.request.path_params["artifact_id"])
    artifact = await visit.database.fetch_one(wanted)
    if artifact is None or artifact["job_id"] != job["id"]:
        raise PageError(404, "There is no such file", "The job has no file with this id. Its page lists all it has.")
    answer = await content_of(visit.request, visit.services.storage, artifact)
    answer.headers.update(HEADERS)
    return answer


async def _write(visit: Visit, job: Record, act: Callable[[Session, str, str], Record]) -> Record:
    target = f"/v1/jobs/{job['id']}"
    return await visit.write(job["project_id"], target, lambda session: act(session, job["project_id"], job["id"]))


async def _job(visit: Visit) -> Record:
    return await load_job(visit.database, visit.request.path_params["job_id"])


def _to_job(job_id: str) -> Response:
    return RedirectResponse(f"/admin/jobs/{job_id}", 303, headers=HEADERS)
