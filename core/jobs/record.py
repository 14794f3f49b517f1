"""What is written beside a job's state, in the same transaction: its events, artifacts, attempts, bells, and
what webhooks are told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session

from core.db import insert_if_absent
from core.ids import new_id
from core.jobs.words import Delivered, Progress
from core.tables import Artifact, Attempt, Blob, Event, Job, Outbox
from core.webhooks.outbox import announce

PROGRESS_EVENTS: Final = 20
"""At most so many progress events a job, and one for each stage; the row itself is updated with every beat."""

MESSAGE_LENGTH, DETAIL_LENGTH = 500, 2000


def tell_state(session: Session, job: Job, now: datetime) -> None:
    told: dict[str, Any] = {"state": str(job.state), "attempt": job.attempt}
    if job.outcome is not None:
        told["outcome"] = job.outcome
    if job.error is not None:
        told["error"] = job.error
    tell(session, job, "job.state", told, now)
    announce(session, job, now)


def tell(session: Session, job: Job, kind: str, told: dict[str, Any], now: datetime) -> None:
    """Add an event. The job's row is locked, so the numbers have no gaps."""
    job.last_seq += 1
    session.add(Event(job_id=job.id, seq=job.last_seq, at=now, type=kind, data=told))


def store_progress(session: Session, job: Job, progress: Progress, now: datetime) -> None:
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
        tell(session, job, "job.progress", told, now)


def attach(session: Session, job: Job, delivered: Collection[Delivered], now: datetime) -> None:
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
        tell(session, job, "job.artifact", told, now)


def end_attempt(session: Session, job: Job, now: datetime, ending: str, detail: str | None = None) -> None:
    attempt = session.get_one(Attempt, (job.id, job.attempt))
    attempt.ended_at, attempt.ending = now, ending
    attempt.detail = detail[-DETAIL_LENGTH:] if detail else None


def ring_later(session: Session, job: Job, now: datetime) -> None:
    payload = {"job_id": job.id, "device": job.device}
    session.add(Outbox(id=new_id("out"), kind="ring", payload=payload, created_at=now))
