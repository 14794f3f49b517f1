"""The only place that writes a job's state, as the moves in `core.job_words` allow.

A worker's write is guarded by its `Claim`: the attempt's number grows with every claim, so a worker that was given up
for dead and comes back finds another number in the row and is refused (`LeaseLost`). Every function works inside the
caller's transaction; the row, its event and its bell are written together or not at all.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, false, or_, select, update
from sqlalchemy.orm import Session

from core.db import insert_if_absent, utc_now
from core.ids import new_id
from core.job_words import (
    CLAIMED_AS,
    GIVEN_BACK_AS,
    LEASED,
    MOVES,
    TERMINAL,
    WAITING,
    BeatAnswer,
    Claim,
    Delivered,
    JobNotFound,
    Lease,
    LeaseLost,
    Limits,
    Progress,
    StateConflict,
)
from core.problems import Problem, job_problem
from core.tables import Artifact, Attempt, Blob, Dataset, Event, Job, JobState, Outbox, StoredModel

__all__ = [
    "LEASED",
    "MOVES",
    "TERMINAL",
    "WAITING",
    "BeatAnswer",
    "Claim",
    "Delivered",
    "JobNotFound",
    "Lease",
    "LeaseLost",
    "Limits",
    "Progress",
    "StateConflict",
    "beat",
    "cancelled",
    "claim",
    "crashed",
    "expire",
    "fail",
    "finalize",
    "finish",
    "overdue",
    "reap",
    "reject",
    "release",
    "remove",
    "request_cancel",
    "submit",
    "validated",
]

S = JobState

PROGRESS_EVENTS: Final = 20
"""At most so many progress events a job, and one for each stage; the row itself is updated with every beat."""

MESSAGE_LENGTH, DETAIL_LENGTH = 500, 2000


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
        cancel_requested=False,
    )
    session.add(job)
    session.flush()  # the event and the bell refer to the row
    _tell_state(session, job, now)
    _ring_later(session, job, now)
    return job


def claim(
    session: Session,
    *,
    worker_id: str,
    devices: Collection[str],
    lease_seconds: float,
    validate: bool = True,
    job_id: str | None = None,
) -> Claim | None:
    """Take the oldest job that waits, or None: to be validated (any device) or to be run on one of `devices`.

    With `validate=False` only jobs to run. `job_id` asks for that one job. Two workers never get the same job:
    SQLite lets one writer in at a time, PostgreSQL skips rows that another claim has locked.
    """
    now = utc_now(session)
    # Each kind is one range of the index `jobs_to_claim`; an empty one would make the database read them all.
    kinds: list[ColumnElement[bool]] = [Job.state == S.SUBMITTED] if validate else []
    if devices:
        kinds.append(and_(Job.state == S.QUEUED, Job.device.in_(devices)))
    wanted = select(Job).where(or_(false(), *kinds), or_(Job.not_before.is_(None), Job.not_before <= now))
    if job_id is not None:
        wanted = wanted.where(Job.id == job_id)
    job = session.scalars(wanted.order_by(Job.id).limit(1).with_for_update(skip_locked=True)).first()
    if job is None:
        return None
    job.attempt += 1
    job.lease_owner = worker_id
    job.lease_expires_at = now + timedelta(seconds=lease_seconds)
    job.not_before = None
    _move(session, job, CLAIMED_AS[S(job.state)], now)
    session.add(Attempt(job_id=job.id, attempt=job.attempt, worker_id=worker_id, started_at=now))
    return _claim_of(session, job, worker_id, lease_seconds)


def beat(session: Session, claim: Claim, progress: Progress | None = None) -> BeatAnswer:
    """Renew the lease, store progress, learn whether to stop. Progress never goes back, over all attempts."""
    try:
        job = _held(session, claim)
    except LeaseLost:
        return BeatAnswer(still_mine=False, cancel_requested=False)
    now = utc_now(session)
    job.lease_expires_at = now + timedelta(seconds=claim.lease_seconds)
    if progress is not None:
        _store_progress(session, job, progress, now)
    return BeatAnswer(still_mine=True, cancel_requested=job.cancel_requested)


def validated(session: Session, claim: Claim, analysis: dict[str, Any]) -> None:
    """The inspection found nothing wrong: let the job queue for its device, and keep what was found."""
    job = _held(session, claim)
    if job.state == S.CANCELLING:
        cancelled(session, claim)
        return
    now = utc_now(session)
    session.execute(update(StoredModel).where(StoredModel.id == job.model_id).values(analysis=analysis))
    _end_attempt(session, job, now, "validated")
    _move(session, job, S.QUEUED, now)
    _ring_later(session, job, now)


def reject(session: Session, claim: Claim, error: Problem) -> None:
    """The inspection refused the input."""
    _end(session, claim, S.REJECTED, ending="rejected", error=error)


def finalize(session: Session, claim: Claim) -> bool:
    """The engine is done and its files are to be published; False when nobody wants them any more."""
    job = _held(session, claim)
    if job.state == S.CANCELLING:
        return False
    _move(session, job, S.FINALIZING, utc_now(session))
    return True


def finish(
    session: Session, claim: Claim, *, outcome: str, report: dict[str, Any], delivered: Collection[Delivered]
) -> None:
    """End well. The files must be in storage already: what a reader can see must be there."""
    job = _held(session, claim)
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


def crashed(
    session: Session, claim: Claim, limits: Limits, *, detail: str, delivered: Collection[Delivered] = ()
) -> None:
    """The child died under the job: try again after a while, or give the job up as poison."""
    job = _held(session, claim)
    if job.state != S.CANCELLING:
        _attach(session, job, delivered, utc_now(session))
    _count_crash(session, job, limits, ending="crashed", code="poison", detail=detail)


def release(session: Session, claim: Claim, limits: Limits) -> None:
    """Give the job back because the worker stops; no fault of the job's."""
    job = _held(session, claim)
    now = utc_now(session)
    job.interrupt_count += 1
    _end_attempt(session, job, now, "drained")
    if job.interrupt_count > limits.interrupt_limit:
        detail = f"The job was interrupted {job.interrupt_count} times by workers that stopped."
        _move(session, job, S.FAILED, now, error=job_problem("worker-lost", detail))
    else:
        _give_back(session, job, now)


def overdue(session: Session, gone: Collection[str] = ()) -> list[Lease]:
    """Return the leases that have run out, and those of the workers in `gone`, whatever their lease says."""
    held = select(Job.id, Job.attempt, Job.lease_owner, Job.lease_expires_at).where(Job.state.in_(LEASED))
    late = held.where(or_(Job.lease_expires_at < utc_now(session), Job.lease_owner.in_(gone)))
    return [
        Lease(job_id, attempt, owner, expires_at)
        for job_id, attempt, owner, expires_at in session.execute(late.order_by(Job.id))
        if owner is not None and expires_at is not None
    ]


def reap(session: Session, lease: Lease, limits: Limits) -> bool:
    """Take the job from a worker that was lost; False when it has moved on meanwhile."""
    job = _locked(session, Job.id == lease.job_id)
    if job is None or job.state not in LEASED:
        return False
    if (job.attempt, job.lease_expires_at) != (lease.attempt, lease.expires_at):
        return False
    detail = f"Worker {lease.worker_id} was lost in attempt {lease.attempt}."
    _count_crash(session, job, limits, ending="lost", code="worker-lost", detail=detail)
    return True


def request_cancel(session: Session, project_id: str, job_id: str) -> Job:
    """Stop a job: one that waits at once, one that a worker holds as soon as that worker hears of it.

    Asking twice is asking once. Raises JobNotFound, or StateConflict when the job has ended in another way.
    """
    job = _in_project(session, project_id, job_id)
    now = utc_now(session)
    if job.state in WAITING:
        _move(session, job, S.CANCELLED, now)
    elif job.state not in {S.CANCELLING, S.CANCELLED}:
        _move(session, job, S.CANCELLING, now)
        job.cancel_requested = True
    return job


def remove(session: Session, project_id: str, job_id: str) -> None:
    """Forget a job that has ended: its row, events, attempts and artifacts. Raises JobNotFound or StateConflict."""
    job = _in_project(session, project_id, job_id)
    if job.state not in TERMINAL:
        raise StateConflict(job_id, job.state, "deleted")
    for table in (Artifact, Event, Attempt):
        session.execute(delete(table).where(table.job_id == job_id))
    session.delete(job)
    session.flush()


def expire(session: Session, max_age: timedelta) -> int:
    """End jobs that have waited longer than `max_age`; return how many."""
    now = utc_now(session)
    old = select(Job).where(Job.state.in_(WAITING), Job.submitted_at < now - max_age)
    jobs = session.scalars(old.limit(100).with_for_update(skip_locked=True)).all()
    for job in jobs:
        _move(session, job, S.EXPIRED, now)
    return len(jobs)


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
    job = _held(session, claim)
    now = utc_now(session)
    if job.state == S.CANCELLING:
        state, ending, error, delivered = S.CANCELLED, "cancelled", None, ()
    _attach(session, job, delivered, now)
    _end_attempt(session, job, now, ending, detail)
    _move(session, job, state, now, error=error)


def _count_crash(session: Session, job: Job, limits: Limits, *, ending: str, code: str, detail: str) -> None:
    now = utc_now(session)
    _end_attempt(session, job, now, ending, detail)
    if job.state == S.CANCELLING:
        _move(session, job, S.CANCELLED, now)
        return
    job.crash_count += 1
    if job.crash_count >= limits.crash_limit:
        _move(session, job, S.FAILED, now, error=job_problem(code, f"Tried {job.crash_count} times. {detail}"))
        return
    job.not_before = now + timedelta(seconds=limits.retry_seconds * 2 ** (job.crash_count - 1))
    _give_back(session, job, now)


def _give_back(session: Session, job: Job, now: datetime) -> None:
    if job.state == S.CANCELLING:
        _move(session, job, S.CANCELLED, now)
        return
    _move(session, job, GIVEN_BACK_AS[S(job.state)], now)
    _ring_later(session, job, now)


def _move(session: Session, job: Job, state: JobState, now: datetime, *, error: Problem | None = None) -> None:
    """Change the state, as MOVES allows, with its timestamp and its event."""
    if state not in MOVES[S(job.state)]:
        raise StateConflict(job.id, job.state, state)
    job.state = state
    job.version += 1
    if state in TERMINAL:
        job.finished_at = now
        job.error = error
    elif state != S.SUBMITTED:  # a job that is given back keeps the time of its submission
        setattr(job, f"{state}_at", now)
    if state not in LEASED:
        job.lease_owner = job.lease_expires_at = None
    _tell_state(session, job, now)


def _tell_state(session: Session, job: Job, now: datetime) -> None:
    told: dict[str, Any] = {"state": str(job.state), "attempt": job.attempt}
    if job.outcome is not None:
        told["outcome"] = job.outcome
    if job.error is not None:
        told["error"] = job.error
    _tell(session, job, "job.state", told, now)


def _tell(session: Session, job: Job, kind: str, told: dict[str, Any], now: datetime) -> None:
    """Add an event. The job's row is locked, so the numbers have no gaps."""
    job.last_seq += 1
    session.add(Event(job_id=job.id, seq=job.last_seq, at=now, type=kind, data=told))


def _store_progress(session: Session, job: Job, progress: Progress, now: datetime) -> None:
    fraction = max(job.fraction, min(max(progress.fraction, 0.0), 1.0))
    message = progress.message[:MESSAGE_LENGTH] if progress.message else None
    new_stage = progress.stage != job.stage
    if not new_stage and (fraction, message, progress.eta_seconds) == (job.fraction, job.message, job.eta_seconds):
        return
    worth_telling = new_stage or int(fraction * PROGRESS_EVENTS) > int(job.fraction * PROGRESS_EVENTS)
    job.stage, job.fraction, job.eta_seconds, job.message = progress.stage[:32], fraction, progress.eta_seconds, message
    job.version += 1
    if worth_telling:
        told = {"stage": job.stage, "fraction": fraction, "eta_seconds": job.eta_seconds, "message": message}
        _tell(session, job, "job.progress", told, now)


def _attach(session: Session, job: Job, delivered: Collection[Delivered], now: datetime) -> None:
    for file in delivered:
        insert_if_absent(session, Blob, sha256=file.sha256, size_bytes=file.size_bytes, created_at=now)
        artifact = Artifact(
            id=new_id("art"),
            project_id=job.project_id,
            job_id=job.id,
            name=file.name,
            role=file.role,
            media_type=file.media_type,
            sha256=file.sha256,
            size_bytes=file.size_bytes,
            created_at=now,
        )
        session.add(artifact)
        told = {"id": artifact.id, "name": file.name, "role": file.role, "size_bytes": file.size_bytes}
        _tell(session, job, "job.artifact", told, now)


def _end_attempt(session: Session, job: Job, now: datetime, ending: str, detail: str | None = None) -> None:
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    attempt.ended_at, attempt.ending = now, ending
    attempt.detail = detail[-DETAIL_LENGTH:] if detail else None


def _ring_later(session: Session, job: Job, now: datetime) -> None:
    payload = {"job_id": job.id, "device": job.device}
    session.add(Outbox(id=new_id("out"), kind="ring", payload=payload, created_at=now))


def _held(session: Session, claim: Claim) -> Job:
    """Return the job, locked, if it is still this claim's; else raise LeaseLost."""
    job = _locked(session, Job.id == claim.job_id)
    if job is None or job.state not in LEASED or (job.attempt, job.lease_owner) != (claim.attempt, claim.worker_id):
        raise LeaseLost(f"Job {claim.job_id}, attempt {claim.attempt}, is no longer held by {claim.worker_id}.")
    return job


def _in_project(session: Session, project_id: str, job_id: str) -> Job:
    job = _locked(session, Job.id == job_id, Job.project_id == project_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def _locked(session: Session, *conditions: ColumnElement[bool]) -> Job | None:
    """Read one job that nobody else can change until this transaction ends."""
    return session.scalars(select(Job).where(*conditions).with_for_update()).first()


def _claim_of(session: Session, job: Job, worker_id: str, lease_seconds: float) -> Claim:
    model = session.get_one(StoredModel, job.model_id)
    dataset = session.get_one(Dataset, job.dataset_id) if job.dataset_id else None
    return Claim(
        job_id=job.id,
        project_id=job.project_id,
        attempt=job.attempt,
        worker_id=worker_id,
        state=S(job.state),
        device=job.device,
        recipe=job.recipe,
        model_id=model.id,
        model_name=model.name,
        model_sha256=model.sha256,
        dataset_name=dataset.name if dataset else None,
        dataset_sha256=dataset.sha256 if dataset else None,
        lease_seconds=lease_seconds,
    )
