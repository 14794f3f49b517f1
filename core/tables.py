"""The rows. Names of columns and states only; no behaviour: `core.jobs` is the only writer of a job's state.

Times are UTC with a time zone. Ids are prefixed and sort by creation (`job_…`, UUIDv7 body), see `core.ids`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite stores no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON,
    }


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


class FileState(StrEnum):
    """Of an uploaded network or set of images."""

    VALIDATING = "validating"
    READY = "ready"
    REJECTED = "rejected"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


DEFAULT_ORGANIZATION_ID = "org_default"
"""Made by the migrations: what was there before organisations were, and all of an installation that needs but one."""


class Limited:
    """What a project may have; null: nothing is said here. `core.limits` knows what follows from it."""

    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_jobs_waiting: Mapped[int | None]
    max_jobs_running: Mapped[int | None]
    max_compute_seconds_per_month: Mapped[int | None] = mapped_column(BigInteger)
    max_requests_per_minute: Mapped[int | None]
    max_retention_days: Mapped[int | None]


class Organization(Limited, Row):
    """A customer: projects, and one chain of audit entries, whose end `audit_seal` vouches for (`core.audit`)."""

    __tablename__ = "organizations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    audit_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    audit_hash: Mapped[str] = mapped_column(String(64), default="")
    audit_seal: Mapped[str] = mapped_column(String(64), default="")


class Project(Limited, Row):
    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    # No foreign key: SQLite adds none to a table that others refer to, and no organisation is ever deleted.
    organization_id: Mapped[str] = mapped_column(String(64), default=DEFAULT_ORGANIZATION_ID)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    __table_args__ = (Index("projects_by_organization", "organization_id", "id"),)


class ApiKey(Row):
    """A key as a keyed hash; the key itself is shown once and never stored."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(200))
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    key_hash: Mapped[str] = mapped_column(String(64))
    pepper_id: Mapped[str] = mapped_column(String(16))  # tells which secret `key_hash` was made with
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute: it is not written with every request


class Blob(Row):
    """Immutable bytes in storage, named by their sha256."""

    __tablename__ = "blobs"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    touched_at: Mapped[datetime | None]  # when somebody was last about to store and name these bytes


class Upload(Row):
    """Bytes on their way in; `offset_bytes` are safely kept. An upload with an `error` takes no more."""

    __tablename__ = "uploads"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str | None] = mapped_column(String(16))  # model or dataset, where the client has said so
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    offset_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    writer: Mapped[str | None] = mapped_column(String(32))  # the one request whose bytes count
    multipart_id: Mapped[str | None] = mapped_column(String(1024))  # the store's name for parts that gather there
    part_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of each part but the last, where the client puts them
    tus_metadata: Mapped[str | None] = mapped_column(Text)  # what a tus client wants to be told again
    error: Mapped[dict[str, Any] | None]
    expected_sha256: Mapped[str | None] = mapped_column(String(64))
    sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    __table_args__ = (Index("uploads_by_sha256", "sha256"),)


class StoredModel(Row):
    """An uploaded network, as a file. `analysis` is what the engine's inspection found; `error` why it is no use."""

    __tablename__ = "models"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="ready", server_default="ready")
    architecture: Mapped[dict[str, Any] | None]  # whose weights these are, where the file holds no graph
    analysis: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    __table_args__ = (Index("models_by_project", "project_id", "id"), Index("models_by_sha256", "sha256"))


class Dataset(Row):
    """An uploaded set of calibration images, as a file; `summary` is what the engine found in it."""

    __tablename__ = "datasets"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(16), default="ready", server_default="ready")
    summary: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    __table_args__ = (Index("datasets_by_project", "project_id", "id"), Index("datasets_by_sha256", "sha256"))


class Examination(Row):
    """Something that a worker is to find out about uploaded files, once; both answer and error are kept.

    `question` tells two of one kind on the same files apart: what else was asked, as a digest.
    """

    __tablename__ = "examinations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[str] = mapped_column(String(16))  # model, dataset, report
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    question: Mapped[str] = mapped_column(String(64))
    recipe: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))  # waiting, running, done
    answer: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    attempt: Mapped[int] = mapped_column(default=0)
    trouble_count: Mapped[int] = mapped_column(default=0)  # attempts that did not end as they should
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        Index("examinations_to_claim", "state", "kind", "id"),
        Index("examinations_by_model", "model_id"),
        Index("examinations_by_dataset", "dataset_id"),
        UniqueConstraint("kind", "model_id", "dataset_id", "question"),
    )


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
        Index("jobs_to_claim", "state", "device", "project_id", "priority", "id"),
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


class SigningKey(Row):
    """The public half of a key that manifests were signed with; the private half is made from the pepper."""

    __tablename__ = "signing_keys"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    public_key: Mapped[str] = mapped_column(String(64))  # Ed25519, 32 bytes in base64
    created_at: Mapped[datetime]


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


class Artifact(Row):
    """A file that a job delivered."""

    __tablename__ = "artifacts"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    name: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(32))  # model, report, log; of a front candidate, plot
    media_type: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("job_id", "name"),
        Index("artifacts_by_sha256", "sha256"),
        Index("artifacts_by_project", "project_id", "sha256", "size_bytes"),
    )


class Outbox(Row):
    """A bell that is still to be rung, written in the same transaction as the row it tells of; gone once it is rung."""

    __tablename__ = "outbox"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class IdempotencyKey(Row):
    """The stored answer to a POST, written in the same transaction as what it made."""

    __tablename__ = "idempotency_keys"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    route: Mapped[str] = mapped_column(String(200), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    response: Mapped[dict[str, Any]]
    location: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime]


class Worker(Row):
    """A worker process, alive while `seen_at` is fresh. Boot id, pid and start time tell at once when it is gone."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    boot_id: Mapped[str] = mapped_column(String(64))
    pid: Mapped[int]
    pid_started: Mapped[str] = mapped_column(String(32))
    devices: Mapped[list[str]]
    sandbox: Mapped[str] = mapped_column(String(16))  # what its children run under: bubblewrap or limits
    job_id: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class Webhook(Row):
    """Where a project wants to be told of its jobs. Its secrets are made from salts and the pepper, and not stored."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    url: Mapped[str] = mapped_column(String(2000))
    description: Mapped[str] = mapped_column(String(200))
    events: Mapped[list[str]]
    active: Mapped[bool]
    salt: Mapped[str] = mapped_column(String(64))
    pepper_id: Mapped[str] = mapped_column(String(16))  # tells which pepper the secrets are made with
    previous_salt: Mapped[str | None] = mapped_column(String(64))
    previous_expires_at: Mapped[datetime | None]  # until then the secret before the last rotation signs, too
    failing_since: Mapped[datetime | None]  # the first failure since the last delivery that arrived
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    __table_args__ = (Index("webhooks_by_project", "project_id", "id"),)


class WebhookDelivery(Row):
    """One message to one webhook, written with the change that it tells of; `payload` is what is sent, to the byte."""

    __tablename__ = "webhook_deliveries"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id"))
    message_id: Mapped[str] = mapped_column(String(64))  # the header `webhook-id`, the same in every attempt
    type: Mapped[str] = mapped_column(String(40))
    job_id: Mapped[str | None] = mapped_column(String(64))
    payload: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)  # attempts since the last redelivery was asked for
    next_attempt_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    status: Mapped[int | None]  # of the last answer; null where there was none
    error: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        Index("deliveries_by_webhook", "webhook_id", "id"),
        Index("deliveries_due", "state", "next_attempt_at"),
        Index("deliveries_by_lease", "lease_expires_at"),
        Index("deliveries_by_end", "finished_at"),
    )


class WebhookAttempt(Row):
    """One try to deliver a message, and the beginning of what was answered."""

    __tablename__ = "webhook_attempts"
    delivery_id: Mapped[str] = mapped_column(ForeignKey("webhook_deliveries.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(500))
    response: Mapped[str | None] = mapped_column(String(2000))


class ComputeUsage(Row):
    """How long workers held a project's running jobs in one month of UTC, written when an attempt ends."""

    __tablename__ = "compute_usage"
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)  # 2026-11
    device: Mapped[str] = mapped_column(String(16), primary_key=True)
    seconds: Mapped[float]
    attempts: Mapped[int]


class AuditEntry(Row):
    """One change of state: who, what, when, from where; `hash` is over all of it and the hash of the entry before."""

    __tablename__ = "audit"
    organization_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    at: Mapped[datetime]
    project_id: Mapped[str | None] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(64))  # a key's id, or `system`
    actor_name: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(300))  # POST /v1/jobs/{job_id}/cancel
    target: Mapped[str] = mapped_column(String(500))  # /v1/jobs/job_…
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any]]
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    __table_args__ = (Index("audit_by_project", "organization_id", "project_id", "seq"),)
