"""The rows. Names of columns and states only; no behaviour: `core.jobs` is the only writer of a job's state.

One file for each feature; this table names all of them, so that whoever imports it knows every table.
Times are UTC with a time zone. Ids are prefixed and sort by creation (`job_…`, UUIDv7 body), see `core.ids`.
"""

from __future__ import annotations

from core.tables.artifacts import Artifact, SigningKey
from core.tables.audit import AuditEntry
from core.tables.base import Row, UtcDateTime
from core.tables.files import Dataset, Examination, FileState, StoredModel
from core.tables.idempotency import IdempotencyKey
from core.tables.jobs import Attempt, Deletion, Event, Job, JobLabel, JobState, Turn
from core.tables.queue import Outbox, Worker
from core.tables.tenancy import DEFAULT_ORGANIZATION_ID, ApiKey, ComputeUsage, Limited, Organization, Project
from core.tables.uploads import Blob, Upload
from core.tables.webhooks import DeliveryState, Webhook, WebhookAttempt, WebhookDelivery

__all__ = [
    "DEFAULT_ORGANIZATION_ID",
    "ApiKey",
    "Artifact",
    "Attempt",
    "AuditEntry",
    "Blob",
    "ComputeUsage",
    "Dataset",
    "Deletion",
    "DeliveryState",
    "Event",
    "Examination",
    "FileState",
    "IdempotencyKey",
    "Job",
    "JobLabel",
    "JobState",
    "Limited",
    "Organization",
    "Outbox",
    "Project",
    "Row",
    "SigningKey",
    "StoredModel",
    "Turn",
    "Upload",
    "UtcDateTime",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "Worker",
]
