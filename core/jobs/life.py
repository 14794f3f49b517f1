"""A job's way from submission to its end, as its user, its worker and the sweep decide it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from core.db import utc_now
from core.ids import new_id
from core.jobs.moves import held, in_project, move
from core.jobs.record import attach, end_attempt, ring_later, tell_state
from core.jobs.words import TERMINAL, WAITING, Claim, Delivered, StateConflict
from core.problems import Problem, job_problem
from core.tables import Artifact, Attempt, Event, Job, JobState, StoredModel

S = JobState


def submit(
    session: Session,
    *,
    project_id: str,
    model_id: str,
    dataset_id: str | None,
    recipe: dict[str, Any],
    labels: dict[str, Any],
    device: str,
    retry_of: str | None = None,
) -> Job:
    """Write a new job, its first event and its bell."""
    now = utc_now(session)
    job = Job(
        id=new_id("job"),
        project_id=project_id,
        model_id=model_id,
        dataset_id=dataset_id,
        recipe=recipe,
        labels=labels,
        device=device,
        retry_of=retry_of,
        state=S.SUBMITTED,
        submitted_at=now,
        version=1,
        last_seq=0,
        fraction=0.0,
        attempt=0,
        crash_count=0,
        interrupt_count=0,
        fault_count=0,
        cancel_requested=False,
    )
    session.add(job)
    session.flush()  # the event and the bell refer to the row
    tell_state(session, job, now)
    ring_later(session, job, now)
    return job


def validated(session: Session, claim: Claim, analysis: dict[str, Any]) -> None:
    """The inspection found nothing wrong: let the job queue for its device, and keep what was found."""
    job = held(session, claim)
    if job.state == S.CANCELLING:
        cancelled(session, claim)
        return
    now = utc_now(session)
    session.execute(update(StoredModel).where(StoredModel.id == job.model_id).values(analysis=analysis))
    end_attempt(session, job, now, "validated")
    move(session, job, S.QUEUED, now)
    ring_later(session, job, now)


def reject(session: Session, claim: Claim, error: Problem) -> None:
    """The inspection refused the input."""
    _end(session, claim, S.REJECTED, ending="rejected", error=error)


def finalize(session: Session, claim: Claim) -> bool:
    """The engine is done and its files are to be published; False when nobody wants them any more."""
    job = held(session, claim)
    if job.state == S.CANCELLING:
        return False
    move(session, job, S.FINALIZING, utc_now(session))
    return True


def finish(
    session: Session, claim: Claim, *, outcome: str, report: dict[str, Any], delivered: Collection[Delivered]
) -> None:
    """End well. The files must be in storage already: what a reader can see must be there."""
    job = held(session, claim)
    if job.state != S.CANCELLING:
        job.outcome, job.report = outcome, report
        job.fraction, job.eta_seconds, job.message = 1.0, 0.0, None
    _end(session, claim, S.SUCCEEDED, ending="finished", delivered=delivered)


def fail(
    session: Session, claim: Claim, error: Problem, *, detail: str | None = None, delivered: Collection[Delivered] = ()
) -> None:
    """End badly: another try would end in the same way."""
    _end(session, claim, S.FAILED, ending="failed", error=error, detail=detail, delivered=delivered)


def cancelled(session: Session, claim: Claim) -> None:
    """The child is gone, as was asked."""
    _end(session, claim, S.CANCELLED, ending="cancelled")


def request_cancel(session: Session, project_id: str, job_id: str) -> Job:
    """Stop a job: one that waits at once, one that a worker holds as soon as that worker hears of it.

    Asking twice is asking once. Raises JobNotFound, or StateConflict when the job has ended in another way.
    """
    job = in_project(session, project_id, job_id)
    now = utc_now(session)
    if job.state in WAITING:
        move(session, job, S.CANCELLED, now)
    elif job.state not in {S.CANCELLING, S.CANCELLED}:
        move(session, job, S.CANCELLING, now)
        job.cancel_requested = True
    return job


def remove(session: Session, project_id: str, job_id: str) -> None:
    """Forget a job that has ended: its row, events, attempts and artifacts. Raises JobNotFound or StateConflict."""
    job = in_project(session, project_id, job_id)
    if job.state not in TERMINAL:
        raise StateConflict(job_id, job.state, "deleted")
    _remove(session, [job.id])


def forget(session: Session, max_age: timedelta, limit: int = 100) -> int:
    """Remove up to `limit` jobs that ended longer than `max_age` ago, the oldest first; return how many."""
    ended = select(Job.id).where(Job.state.in_(TERMINAL), Job.finished_at < utc_now(session) - max_age)
    found = ended.order_by(Job.finished_at).limit(limit).with_for_update(skip_locked=True)
    job_ids = session.scalars(found).all()
    _remove(session, job_ids)
    return len(job_ids)


def expire(session: Session, max_age: timedelta) -> int:
    """End jobs that have waited longer than `max_age`; return how many."""
    error = job_problem("expired", f"The job waited for {max_age.days} days, and that is the limit. Submit it again.")
    return _expire(session, error, Job.state.in_(WAITING), Job.submitted_at < utc_now(session) - max_age)


def expire_unserved(session: Session, device: str, max_wait: timedelta) -> int:
    """End jobs that have queued longer than `max_wait` for a device that nobody serves; return how many."""
    detail = (
        f"No worker serves the device '{device}', and the job has waited {max_wait.total_seconds():.0f} s for one. "
        f"Start a worker with this device, or submit the job for another: recipe.deploy.provider."
    )
    queued = (Job.state == S.QUEUED, Job.device == device, Job.queued_at < utc_now(session) - max_wait)
    return _expire(session, job_problem("device-unavailable", detail), *queued)


def _expire(session: Session, error: Problem, *conditions: ColumnElement[bool]) -> int:
    now = utc_now(session)
    jobs = session.scalars(select(Job).where(*conditions).limit(100).with_for_update(skip_locked=True)).all()
    for job in jobs:
        move(session, job, S.EXPIRED, now, error=error)
    return len(jobs)


def _remove(session: Session, job_ids: Sequence[str]) -> None:
    for table in (Artifact, Event, Attempt):
        session.execute(delete(table).where(table.job_id.in_(job_ids)))
    session.execute(delete(Job).where(Job.id.in_(job_ids)))


def _end(
    session: Session,
    claim: Claim,
    state: JobState,
    *,
    ending: str,
    error: Problem | None = None,
    detail: str | None = None,
    delivered: Collection[Delivered] = (),
) -> None:
    """End the claim's job: as cancelled, and without artifacts, if it is being cancelled, whatever came of it.

    Artifacts come before the last event, so that who sees the end finds them.
    """
    job = held(session, claim)
    now = utc_now(session)
    if job.state == S.CANCELLING:
        state, ending, error, delivered = S.CANCELLED, "cancelled", None, ()
    attach(session, job, delivered, now)
    end_attempt(session, job, now, ending, detail)
    move(session, job, state, now, error=error)
