"""The words of webhooks: which events there are, and what came of a try to deliver one. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.tables import JobState

S = JobState


class WebhookEvent(StrEnum):
    """What a webhook can ask for."""

    JOB_QUEUED = "job.queued"
    JOB_RUNNING = "job.running"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_REJECTED = "job.rejected"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    WEBHOOK_DISABLED = "webhook.disabled"


E = WebhookEvent

EVENTS: Final = {
    E.JOB_QUEUED: "The job waits for a device: its model was inspected, or the worker that ran it was lost.",
    E.JOB_RUNNING: "A worker began to compress the model.",
    E.JOB_SUCCEEDED: "The job ended well; `outcome` says what it came to.",
    E.JOB_REJECTED: "The model cannot be used; `error_code` says why.",
    E.JOB_FAILED: "The job ended without a result; `error_code` says why.",
    E.JOB_CANCELLED: "The job was stopped, as was asked.",
    E.JOB_EXPIRED: "The job waited too long; `error_code` says for what.",
    E.WEBHOOK_DISABLED: "Another webhook of the project was switched off; `reason` says why.",
}
"""When each is sent."""

EVENT_OF_STATE: Final = {
    S.QUEUED: E.JOB_QUEUED,
    S.RUNNING: E.JOB_RUNNING,
    S.SUCCEEDED: E.JOB_SUCCEEDED,
    S.REJECTED: E.JOB_REJECTED,
    S.FAILED: E.JOB_FAILED,
    S.CANCELLED: E.JOB_CANCELLED,
    S.EXPIRED: E.JOB_EXPIRED,
}
"""What is told of a job that comes into a state; of a state that is not here, nothing."""

TEST_EVENT: Final = "webhook.test"
"""Sent when it is asked for, once, and only to the webhook that is tested."""


@dataclass(frozen=True)
class Errand:
    """One sender's right to deliver one message once, and all that it needs to do so."""

    delivery_id: str
    webhook_id: str
    attempt: int
    sender_id: str
    url: str
    message_id: str
    payload: bytes
    at: datetime
    salts: tuple[str, ...]  # of the secrets that sign: the current one first
    pepper_id: str
    traceparent: str | None = None


@dataclass(frozen=True)
class Answer:
    """What came back: a status and the beginning of a body, or an error where there was no answer at all."""

    status: int | None = None
    body: str | None = None
    error: str | None = None
    retry_after_seconds: float = 0.0

    @property
    def is_welcome(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class WebhookNotFound(LookupError):
    """No such webhook, or no such delivery, in this project."""


class WebhookInactive(Exception):
    """The webhook is switched off: nothing is sent to it."""
