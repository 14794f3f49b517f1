"""Who holds a job: claims, beats, and all the ways in which a worker gives a job back or has it taken away."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session

from core.db import utc_now
from core.jobs.moves import give_back, held, locked, move
from core.jobs.order import files_are_known, next_in_turn, note_turn
from core.jobs.record import attach, begin_stages, end_attempt, store_progress
from core.jobs.words import CLAIMED_AS, LEASED, BeatAnswer, Claim, Delivered, Lease, LeaseLost, Limits, Progress
from core.problems import Problem, job_problem
from core.tables import Attempt, Dataset, Job, JobState, StoredModel

S = JobState


def claim(
    session: Session,
    *,
    worker_id: str,
    devices: Collection[str],
    lease_seconds: float,
    validate: bool = True,
    job_id: str | None = None,
) -> Claim | None:
    """Take the job whose turn it is, or None: to be validated (any device) or to be run on one of `devices`.

    With `validate=False` only jobs to run. `job_id` asks for that one job. Two workers never get the same job:
    SQLite lets one writer in at a time, PostgreSQL skips rows that another claim has locked.
    """
    now = utc_now(session)
    is_rested = or_(Job.not_before.is_(None), Job.not_before <= now)
    is_in_time = or_(Job.deadline_at.is_(None), Job.deadline_at > now, Job.running_at.is_not(None))
    wanted = select(Job).where(_is_kind(devices, validate), is_rested, is_in_time)
    if job_id is not None:
        wanted = wanted.where(Job.id == job_id)
    job = next_in_turn(session, wanted)
    if job is None:
        return None
    note_turn(session, job, now)
    waited_since = (job.queued_at if job.state == S.QUEUED else None) or job.submitted_at
    if job.state == S.QUEUED:
        begin_stages(session, job)
    job.attempt += 1
    job.lease_owner = worker_id
    job.lease_expires_at = now + timedelta(seconds=lease_seconds)
    job.not_before = None
    move(session, job, CLAIMED_AS[S(job.state)], now)
    session.add(Attempt(job_id=job.id, attempt=job.attempt, worker_id=worker_id, started_at=now))
    return _claim_of(session, job, worker_id, lease_seconds, (now - waited_since).total_seconds())


def beat(session: Session, claim: Claim, progress: Progress | None = None) -> BeatAnswer:
    """Renew the lease, store progress, learn whether to stop. Progress never goes back, over all attempts."""
    try:
        job = held(session, claim)
    except LeaseLost:
        return BeatAnswer(still_mine=False, cancel_requested=False, pause_requested=False)
    now = utc_now(session)
    job.lease_expires_at = now + timedelta(seconds=claim.lease_seconds)
    if progress is not None:
        store_progress(session, job, progress, now)
    return BeatAnswer(still_mine=True, cancel_requested=job.cancel_requested, pause_requested=job.pause_requested)


def crashed(
    session: Session, claim: Claim, limits: Limits, *, detail: str, delivered: Collection[Delivered] = ()
) -> None:
    """The child died under the job: try again after a while, or give the job up as poison."""
    job = held(session, claim)
    if job.state != S.CANCELLING:
        attach(session, job, delivered, utc_now(session))
    _count_crash(session, job, limits, ending="crashed", code="poison", detail=detail)


def faulted(session: Session, claim: Claim, limits: Limits, error: Problem) -> None:
    """The worker itself failed, not the job: try again after a while; this has a budget of its own."""
    job = held(session, claim)
    now = utc_now(session)
    end_attempt(session, job, now, "faulted", error["detail"])
    if _is_let_go(session, job, now):
        return
    job.fault_count += 1
    if job.fault_count >= limits.fault_limit:
        move(session, job, S.FAILED, now, error=error)
        return
    _give_back_to_rest(session, job, now, limits, count=job.fault_count)


def release(session: Session, claim: Claim, limits: Limits) -> None:
    """Give the job back because the worker stops; no fault of the job's."""
    job = held(session, claim)
    now = utc_now(session)
    end_attempt(session, job, now, "drained")
    if _is_let_go(session, job, now):
        return
    job.interrupt_count += 1
    if job.interrupt_count > limits.interrupt_limit:
        detail = f"The job was interrupted {job.interrupt_count} times by workers that stopped."
        move(session, job, S.FAILED, now, error=job_problem("worker-lost", detail))
    else:
        give_back(session, job, now)


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
    job = locked(session, Job.id == lease.job_id)
    if job is None or job.state not in LEASED:
        return False
    if (job.attempt, job.lease_expires_at) != (lease.attempt, lease.expires_at):
        return False
    detail = f"Worker {lease.worker_id} was lost in attempt {lease.attempt}."
    _count_crash(session, job, limits, ending="lost", code="worker-lost", detail=detail)
    return True


def _is_kind(devices: Collection[str], validate: bool) -> ColumnElement[bool]:
    """Each kind is one range of the index `jobs_to_claim`; an empty one would make the database read them all."""
    kinds: list[ColumnElement[bool]] = [and_(Job.state == S.SUBMITTED, files_are_known())] if validate else []
    if devices:
        kinds.append(and_(Job.state == S.QUEUED, Job.device.in_(devices)))
    return or_(false(), *kinds)


def _count_crash(session: Session, job: Job, limits: Limits, *, ending: str, code: str, detail: str) -> None:
    now = utc_now(session)
    end_attempt(session, job, now, ending, detail)
    job.crash_count += job.state != S.CANCELLING
    if job.state != S.CANCELLING and job.crash_count >= limits.crash_limit:
        move(session, job, S.FAILED, now, error=job_problem(code, f"Tried {job.crash_count} times. {detail}"))
        return
    if _is_let_go(session, job, now):
        return
    _give_back_to_rest(session, job, now, limits, count=job.crash_count)


def _is_let_go(session: Session, job: Job, now: datetime) -> bool:
    """Do what was asked of a job that its worker holds no more: end it or hold it; False when nothing was asked."""
    asked = {S.CANCELLING: S.CANCELLED, S.PAUSING: S.PAUSED}.get(S(job.state))
    if asked is not None:
        move(session, job, asked, now)
    return asked is not None


def _give_back_to_rest(session: Session, job: Job, now: datetime, limits: Limits, *, count: int) -> None:
    """Let the job wait again, twice as long with every time."""
    job.not_before = now + timedelta(seconds=limits.retry_seconds * 2 ** (count - 1))
    give_back(session, job, now)


def _claim_of(session: Session, job: Job, worker_id: str, lease_seconds: float, waited_seconds: float) -> Claim:
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
        dataset_id=dataset.id if dataset else None,
        dataset_name=dataset.name if dataset else None,
        dataset_sha256=dataset.sha256 if dataset else None,
        lease_seconds=lease_seconds,
        waited_seconds=waited_seconds,
        traceparent=job.traceparent,
    )
