"""Jobs: what is asked and what became of it, each try, each event, whose turn it is, and the receipt of a deletion."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row


class JobState(StrEnum):
    SUBMITTED = "submitted"
    VALIDATING = "validating"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    FINALIZING = "finalizing"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Job(Row):
    """One recipe on one model. A terminal row never changes again."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"))
    recipe: Mapped[dict[str, Any]]
    labels: Mapped[dict[str, Any]]
    device: Mapped[str] = mapped_column(String(16))  # the Celery queue: cpu or gpu
    kind: Mapped[str] = mapped_column(String(80), server_default="")  # jobs of one kind take about as long
    priority: Mapped[int] = mapped_column(default=0, server_default="0")  # among the project's own jobs; more is sooner
    deadline_at: Mapped[datetime | None]  # a job that no worker has begun by then expires
    retry_of: Mapped[str | None] = mapped_column(String(64))
    traceparent: Mapped[str | None] = mapped_column(String(55))  # of the request that made it, see core.tracing

    state: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(String(40))
    error: Mapped[dict[str, Any] | None]
    report: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    version: Mapped[int] = mapped_column(default=1)  # grows with every change that a reader can see; the ETag
    last_seq: Mapped[int] = mapped_column(default=0)  # the newest event's number

    stage: Mapped[str | None] = mapped_column(String(32))
    fraction: Mapped[float] = mapped_column(default=0.0)
    eta_seconds: Mapped[float | None]  # as likely later as sooner
    eta_p90_seconds: Mapped[float | None]  # nine of ten jobs are over by then
    message: Mapped[str | None] = mapped_column(String(500))
    stages: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))  # of the newest run, see core.jobs.record
    forecast: Mapped[dict[str, Any] | None]  # what past jobs say of this one, see core.jobs.forecast
    price_seconds: Mapped[float | None]  # what it was expected to take when it was submitted, and late
    price_late_seconds: Mapped[float | None]
    eta_samples: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)

    attempt: Mapped[int] = mapped_column(default=0)
    crash_count: Mapped[int] = mapped_column(default=0)
    interrupt_count: Mapped[int] = mapped_column(default=0)
    fault_count: Mapped[int] = mapped_column(default=0)  # tries that the worker itself made fail
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    pause_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]

    submitted_at: Mapped[datetime]
    validating_at: Mapped[datetime | None]
    queued_at: Mapped[datetime | None]
    running_at: Mapped[datetime | None]
    pausing_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    finalizing_at: Mapped[datetime | None]
    cancelling_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        Index("jobs_by_project", "project_id", "id"),
        Index("jobs_by_model", "model_id", "id"),
        Index("jobs_by_state", "state", "id"),
        Index("jobs_in_state", "project_id", "state", "id"),
        # Prices are in it, so that they are added up where the jobs are counted.
        Index(
            "jobs_to_claim", "state", "device", "project_id", "priority", "id", "price_seconds", "price_late_seconds"
        ),
        Index("jobs_by_end", "finished_at"),
        Index("jobs_by_kind", "project_id", "kind", "state", "id"),
    )


class JobLabel(Row):
    """One label of a job, so that a list by label is one range of an index; the job's own row has them all as well."""

    __tablename__ = "job_labels"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[str] = mapped_column(String(200))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    __table_args__ = (Index("labels_by_value", "project_id", "name", "value", "job_id"),)


class Attempt(Row):
    """One try at a job by one worker process."""

    __tablename__ = "attempts"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ending: Mapped[str | None] = mapped_column(String(40))  # finished, failed, crashed, faulted, lost, drained, …
    detail: Mapped[str | None] = mapped_column(String(2000))


class Event(Row):
    """One line of a job's append-only history; `seq` has no gaps and is the SSE id."""

    __tablename__ = "events"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    type: Mapped[str] = mapped_column(String(32))  # job.state, job.progress, job.log, job.artifact
    data: Mapped[dict[str, Any]]


class Turn(Row):
    """When a project was last given a worker in one lane: who has waited longest is served next."""

    __tablename__ = "turns"
    lane: Mapped[str] = mapped_column(String(16), primary_key=True)  # a device, or the inspection
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    served_at: Mapped[datetime]


class Deletion(Row):
    """The receipt for a deleted job: what was deleted, by digest, and until when its bytes are gone."""

    __tablename__ = "deletions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    job_id: Mapped[str] = mapped_column(String(64))
    deleted_at: Mapped[datetime]
    erased_by: Mapped[datetime]  # when the bytes that nobody else names are gone from the store
    events: Mapped[int]
    files: Mapped[list[Any]] = mapped_column(JSON)
    __table_args__ = (Index("deletions_by_project", "project_id", "id"), Index("deletions_by_job", "job_id"))
