"""A job's way from submission to its end, as its user, its worker and the sweep decide it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import Session

from core.db import Change, utc_now
from core.ids import new_id
from core.jobs.forecast import forecast_for, kind_of, price
from core.jobs.moves import give_back, held, in_project, move
from core.jobs.receipts import write_receipt
from core.jobs.record import attach, end_attempt, end_stages, ring_later, tell_state
from core.jobs.words import TERMINAL, WAITING, Claim, DeadlinePassed, Delivered, StateConflict
from core.limits import check_job
from core.metrics.counting import count_once_written
from core.metrics.table import SUBMITTED
from core.problems import Problem, job_problem
from core.tables import Artifact, Attempt, Deletion, Event, Job, JobLabel, JobState, StoredModel
from core.tracing.carried import current_traceparent

S = JobState

_ADD_JOB: Final = Change(insert(Job))
_ADD_LABEL: Final = Change(insert(JobLabel))
_AT_FIRST: Final[dict[str, Any]] = {
    **dict.fromkeys(("last_seq", "attempt", "crash_count", "interrupt_count", "fault_count"), 0),
    **{"version": 1, "fraction": 0.0, "cancel_requested": False, "pause_requested": False},
}


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
    priority: int = 0,
    deadline_at: datetime | None = None,
) -> Job:
    """Write a new job, its labels, its first event and its bell; return what was written, which is not the session's.

    Raises DeadlinePassed and QuotaExceeded.
    """
    check_job(session, project_id)
    now = utc_now(session)
    if deadline_at is not None and deadline_at <= now:
        raise DeadlinePassed(f"{deadline_at.isoformat()} has passed; it is {now.isoformat()}.")
    asked = {
        "id": new_id("job"),
        "project_id": project_id,
        "model_id": model_id,
        "dataset_id": dataset_id,
        "recipe": recipe,
        "labels": labels,
        "device": device,
        "kind": kind_of(recipe, device, has_images=dataset_id is not None),
        "priority": priority,
        "deadline_at": deadline_at,
        "retry_of": retry_of,
        "traceparent": current_traceparent(),
        "state": S.SUBMITTED,
        "submitted_at": now,
    }
    job = _written(session, asked)
    tell_state(session, job, now)
    ring_later(session, job, now)
    count_once_written(session, SUBMITTED, device)
    return job


def _written(session: Session, asked: dict[str, Any]) -> Job:
    """Write a job's row, with the number of its first event, and its labels."""
    job = Job()  # not the session's, and filled without its attributes' history: the row is written past both
    vars(job).update(asked, **_AT_FIRST)
    job.forecast = forecast_for(session, job, with_samples=False)
    job.price_seconds, job.price_late_seconds = price(job.forecast)
    known = {name: getattr(job, name) for name in ("forecast", "price_seconds", "price_late_seconds")}
    _ADD_JOB(session, **asked, **_AT_FIRST | {"last_seq": 1} | known)
    for name, value in job.labels.items():
        _ADD_LABEL(session, job_id=job.id, name=name, value=value, project_id=job.project_id)
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
    if job.state == S.PAUSING:
        job.queued_at = now  # by this it is known that the inspection need not be done again
        move(session, job, S.PAUSED, now)
        return
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
    job.pause_requested = False  # it is done: there is nothing left to pause
    move(session, job, S.FINALIZING, utc_now(session))
    return True


def finish(
    session: Session, claim: Claim, *, outcome: str, report: dict[str, Any], delivered: Collection[Delivered]
) -> None:
    """End well. The files must be in storage already: what a reader can see must be there."""
    job = held(session, claim)
    if job.state != S.CANCELLING:
        job.outcome, job.report = outcome, report
        job.fraction, job.eta_seconds, job.eta_p90_seconds, job.message = 1.0, 0.0, 0.0, None
        end_stages(job, utc_now(session))
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


def request_pause(session: Session, project_id: str, job_id: str) -> Job:
    """Hold a job: one that waits at once, one that a worker has as soon as its child is stopped.

    What the engine has kept in its checkpoint stays with the worker's machine. Asking twice is asking once. Raises
    JobNotFound, or StateConflict when the job is being delivered or has ended.
    """
    job = in_project(session, project_id, job_id)
    now = utc_now(session)
    if job.state in {S.SUBMITTED, S.QUEUED}:
        move(session, job, S.PAUSED, now)
    elif job.state not in {S.PAUSING, S.PAUSED}:
        move(session, job, S.PAUSING, now)
        job.pause_requested = True
    return job


def resume(session: Session, project_id: str, job_id: str) -> Job:
    """Let a paused job wait for a worker again, in the state that it would be in.

    It is one more that waits: who could pause and resume past the quota had none. Raises JobNotFound, StateConflict,
    QuotaExceeded.
    """
    job = in_project(session, project_id, job_id)
    now = utc_now(session)
    if job.state != S.PAUSED:
        raise StateConflict(job_id, job.state, "resumed")
    check_job(session, project_id)
    job.pause_requested = False
    move(session, job, S.SUBMITTED if job.queued_at is None else S.QUEUED, now)
    ring_later(session, job, now)
    return job


def paused(session: Session, claim: Claim) -> None:
    """The child is gone, as was asked; where that is no longer wanted, the job waits for a worker again."""
    job = held(session, claim)
    now = utc_now(session)
    end_attempt(session, job, now, "paused")
    if job.state == S.CANCELLING:
        move(session, job, S.CANCELLED, now)
    elif job.state == S.PAUSING:
        move(session, job, S.PAUSED, now)
    else:
        give_back(session, job, now)


def remove(session: Session, project_id: str, job_id: str) -> Deletion:
    """Forget a job that has ended: its row, events, attempts and artifacts; return the receipt.

    Raises JobNotFound or StateConflict.
    """
    job = in_project(session, project_id, job_id)
    if job.state not in TERMINAL:
        raise StateConflict(job_id, job.state, "deleted")
    receipt = write_receipt(session, job, utc_now(session))
    _remove(session, [job.id])
    return receipt


def forget(session: Session, max_age: timedelta, *conditions: ColumnElement[bool], limit: int = 100) -> Counter[str]:
    """Remove up to `limit` jobs that ended longer than `max_age` ago, the oldest first; count them by project."""
    old = (Job.state.in_(TERMINAL), Job.finished_at < utc_now(session) - max_age)
    ended = select(Job.id, Job.project_id).where(*old, *conditions)
    found = session.execute(ended.order_by(Job.finished_at).limit(limit).with_for_update(skip_locked=True)).all()
    _remove(session, [job_id for job_id, _ in found])
    return Counter(project_id for _, project_id in found)


def expire(session: Session, max_age: timedelta, *conditions: ColumnElement[bool]) -> int:
    """End jobs that have waited longer than `max_age`; return how many."""
    error = job_problem("expired", f"The job waited for {max_age.days} days, and that is the limit. Submit it again.")
    waited = Job.submitted_at < utc_now(session) - max_age
    return _expire(session, error, Job.state.in_(WAITING), waited, *conditions)


def expire_late(session: Session) -> int:
    """End jobs that no worker has begun by their deadline; return how many."""
    error = job_problem(
        "deadline-passed",
        "No worker could begin the job by its deadline. Submit it again with a later one, with a higher priority among "
        "your own jobs, or start more workers.",
    )
    return _expire(
        session, error, Job.state.in_(WAITING), Job.running_at.is_(None), Job.deadline_at <= utc_now(session)
    )


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
    for table in (Artifact, Event, Attempt, JobLabel):
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
