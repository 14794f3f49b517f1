"""The one function that changes a job's state, and the ways to lay hold of its row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from core.jobs.record import ring_later, tell_state
from core.jobs.words import GIVEN_BACK_AS, LEASED, MOVES, TERMINAL, Claim, JobNotFound, LeaseLost, StateConflict
from core.metrics.counting import count_once_written
from core.metrics.table import ENDED, ERRORS
from core.problems import Problem
from core.tables import Job, JobState

S = JobState


def move(session: Session, job: Job, state: JobState, now: datetime, *, error: Problem | None = None) -> None:
    """Change the state, as MOVES allows, with its timestamp and its event."""
    if state not in MOVES[S(job.state)]:
        raise StateConflict(job.id, job.state, state)
    job.state = state
    job.version += 1
    if state in TERMINAL:
        job.finished_at = now
        job.error = error
        _count_end(session, job)
    elif state != S.SUBMITTED:  # a job that is given back keeps the time of its submission
        setattr(job, f"{state}_at", now)
    if state not in LEASED:
        job.lease_owner = job.lease_expires_at = None
    tell_state(session, job, now)


def _count_end(session: Session, job: Job) -> None:
    count_once_written(session, ENDED, str(job.state), job.outcome or "")
    if job.error is not None:
        count_once_written(session, ERRORS, job.error["code"])


def give_back(session: Session, job: Job, now: datetime) -> None:
    """Let a job wait again, in the state that it was claimed from."""
    move(session, job, GIVEN_BACK_AS[S(job.state)], now)
    ring_later(session, job, now)


def held(session: Session, claim: Claim) -> Job:
    """Return the job, locked, if it is still this claim's; else raise LeaseLost."""
    job = locked(session, Job.id == claim.job_id)
    if job is None or job.state not in LEASED or (job.attempt, job.lease_owner) != (claim.attempt, claim.worker_id):
        raise LeaseLost(f"Job {claim.job_id}, attempt {claim.attempt}, is no longer held by {claim.worker_id}.")
    return job


def in_project(session: Session, project_id: str, job_id: str) -> Job:
    job = locked(session, Job.id == job_id, Job.project_id == project_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def locked(session: Session, *conditions: ColumnElement[bool]) -> Job | None:
    """Read one job that nobody else can change until this transaction ends."""
    return session.scalars(select(Job).where(*conditions).with_for_update()).first()
