"""What is written beside a job's state, in the same transaction: its events, artifacts, attempts, bells, and
what webhooks are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.orm import Session

from core.db import Change, insert_if_absent
from core.ids import new_id
from core.jobs.forecast import forecast_for, remaining
from core.jobs.words import Delivered, Progress
from core.limits import count_compute
from core.metrics.counting import count_once_written
from core.metrics.table import ATTEMPTS
from core.tables import Artifact, Attempt, Blob, Event, Job, Outbox
from core.webhooks.outbox import announce

PROGRESS_EVENTS: Final = 20
"""At most so many progress events a job, and one for each stage; the row itself is updated with every beat."""

MESSAGE_LENGTH, DETAIL_LENGTH = 500, 2000
SAMPLES, STAGES = 60, 60
"""So many estimates are kept of a job, and so many stages: an engine that makes up names without end fills no row."""

_ADD_EVENT: Final = Change(insert(Event))
_ADD_BELL: Final = Change(insert(Outbox))


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
    _ADD_EVENT(session, job_id=job.id, seq=job.last_seq, at=now, type=kind, data=told)


def store_progress(session: Session, job: Job, progress: Progress, now: datetime) -> None:
    """Keep what the engine says, with what is left of the job by that and by past jobs."""
    fraction = max(job.fraction, min(max(progress.fraction, 0.0), 1.0))
    message = progress.message[:MESSAGE_LENGTH] if progress.message else None
    stage, elapsed_seconds = progress.stage[:32], (now - (job.running_at or now)).total_seconds()
    left = remaining(
        job.forecast, fraction=fraction, elapsed_seconds=elapsed_seconds, engine_seconds=progress.eta_seconds
    )
    new_stage = stage != job.stage
    news = (fraction, message, left.p50_seconds)
    if not new_stage and news == (job.fraction, job.message, job.eta_seconds):
        return
    worth_telling = new_stage or int(fraction * PROGRESS_EVENTS) > int(job.fraction * PROGRESS_EVENTS)
    job.stage, (job.fraction, job.message, job.eta_seconds) = stage, news
    job.eta_p90_seconds = left.p90_seconds
    for name in progress.passed[:STAGES]:
        job.stages = _stages_at(job.stages or [], name[:32], 1.0, now)
    job.stages = _stages_at(job.stages or [], stage, progress.stage_fraction, now)
    job.version += 1
    if not worth_telling:
        return
    if progress.eta_seconds is not None:
        sample = [round(fraction, 4), round(elapsed_seconds, 1), round(progress.eta_seconds, 1)]
        job.eta_samples = [*(job.eta_samples or []), sample][-SAMPLES:]
    told = {"stage": stage, "stage_fraction": progress.stage_fraction, "fraction": fraction, "message": message}
    tell(
        session, job, "job.progress", told | {"eta_seconds": left.p50_seconds, "eta_p90_seconds": left.p90_seconds}, now
    )


def begin_stages(session: Session, job: Job) -> None:
    """Forget the stages of an earlier run, and look again at what past jobs took."""
    job.stages, job.eta_samples, job.stage = [], [], None
    job.forecast = forecast_for(session, job)
    left = remaining(job.forecast, fraction=0.0, elapsed_seconds=0.0, engine_seconds=None)
    job.eta_seconds, job.eta_p90_seconds = left


def end_stages(job: Job, now: datetime) -> None:
    """Close the last stage: the job is done."""
    if job.stages:
        job.stages = [*job.stages[:-1], _over(job.stages[-1], now)]


def _stages_at(stages: Sequence[dict[str, Any]], name: str, fraction: float | None, now: datetime) -> list[Any]:
    """Return the stages so far, the last one at `fraction`; one that another follows is over."""
    done = list(stages)
    if not done or done[-1]["name"] != name:
        done = [*done[:-1], *(_over(one, now) for one in done[-1:])]
        done.append({"name": name, "fraction": 0.0, "started_at": _text(now), "ended_at": None})
    if fraction is not None:
        last = done[-1]
        done[-1] = last | {"fraction": round(max(last["fraction"], min(max(fraction, 0.0), 1.0)), 4)}
    return done[-STAGES:]


def _over(stage: dict[str, Any], now: datetime) -> dict[str, Any]:
    return stage | {"fraction": 1.0, "ended_at": stage["ended_at"] or _text(now)}


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    count_compute(session, job, attempt.started_at, now)
    attempt.ended_at, attempt.ending = now, ending
    attempt.detail = detail[-DETAIL_LENGTH:] if detail else None
    count_once_written(session, ATTEMPTS, ending)


def ring_later(session: Session, job: Job, now: datetime) -> None:
    payload = {"job_id": job.id, "device": job.device}
    _ADD_BELL(session, id=new_id("out"), kind="ring", payload=payload, created_at=now)
