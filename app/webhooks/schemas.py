"""What webhooks, deliveries and messages look like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from app.words import printable
from core.tables import DeliveryState, JobState
from core.webhooks.words import WebhookEvent
from engine.recipe import Strict
from engine.report import Outcome

URL_EXAMPLE = "https://ci.example.com/hooks/secateur"
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000),
    Field(description="https://; plain http:// only to a private network that the operator allows."),
]
Description = Annotated[str, StringConstraints(max_length=200), printable]
Events = Annotated[
    list[WebhookEvent],
    Field(max_length=100, description="What to be told of; empty: of everything, and of what comes."),
]
Reason = Literal["failing", "gone", "secret-lost"]
LONGEST_OVERLAP_SECONDS = 7 * 24 * 3600


class WebhookRequest(Strict):
    """Ask to be told of the project's jobs."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": URL_EXAMPLE, "events": ["job.succeeded", "job.failed"]}]}
    )

    url: Url
    events: Events = Field(default_factory=list)
    description: Description = ""
    active: StrictBool = True


class WebhookChange(Strict):
    """Change what is named and leave the rest. `active: true` switches on again what we have switched off."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"active": True}]})

    # Factories: a default would stand in the OpenAPI document, and generated clients send what stands there.
    url: Url = Field(default_factory=str)
    events: Events = Field(default_factory=list)
    description: Description = Field(default_factory=str)
    active: StrictBool = Field(default_factory=bool)


class RotationRequest(Strict):
    """Ask for a new secret; for so long the old one signs as well."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: int = Field(default=24 * 3600, strict=True, ge=0, le=LONGEST_OVERLAP_SECONDS)


_WEBHOOK: dict[str, Any] = {
    "id": "whk_01kaq8f3xn7e9r2t5y8v1b4c6d",
    "url": URL_EXAMPLE,
    "description": "",
    "events": ["job.succeeded", "job.failed"],
    "active": True,
    "previous_secret_expires_at": None,
    "failing_since": None,
    "disabled_at": None,
    "disabled_reason": None,
    "created_at": "2026-11-22T05:00:00Z",
    "updated_at": "2026-11-22T05:00:00Z",
}


class WebhookView(BaseModel):
    """A webhook without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WEBHOOK]})

    id: str
    url: str
    description: str
    events: list[WebhookEvent]
    active: bool
    previous_secret_expires_at: datetime | None = Field(description="Until then the secret before signs as well.")
    failing_since: datetime | None = Field(description="The first failure since something was delivered.")
    disabled_at: datetime | None
    disabled_reason: Reason | None = Field(
        description="Why it was switched off by itself: it failed for days, it answered 410, or the server's pepper, "
        "and its secret with it, was changed."
    )
    created_at: datetime
    updated_at: datetime


class NewWebhookView(WebhookView):
    model_config = ConfigDict(
        json_schema_extra={"examples": [_WEBHOOK | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwLyGZgCEjtS8="}]}
    )

    secret: str = Field(description="Keep it now: it is shown this once. What verifies a message's signature.")


class WebhooksPage(BaseModel):
    webhooks: list[WebhookView]
    next_page_token: str | None


_DELIVERY: dict[str, Any] = {
    "id": "dlv_01kaq8g6m2c4x8z1n5v7b9d3f0",
    "webhook_id": _WEBHOOK["id"],
    "message_id": "msg_01kaq8g6m1h3k5p7r9t2w4y6z8",
    "type": "job.succeeded",
    "job_id": "job_01kaq8e0a2s4d6f8g1h3j5k7m9",
    "state": "pending",
    "attempt": 1,
    "status": 503,
    "error": None,
    "next_attempt_at": "2026-11-22T05:10:05Z",
    "created_at": "2026-11-22T05:10:00Z",
    "finished_at": None,
}


class DeliveryView(BaseModel):
    """One message to one webhook; `message_id` is its header `webhook-id`, the same in every attempt."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DELIVERY]})

    id: str
    webhook_id: str
    message_id: str
    type: str
    job_id: str | None
    state: DeliveryState = Field(description="pending: to be sent, or being sent; failed: given up.")
    attempt: int
    status: int | None = Field(description="HTTP status of the last answer; null where none came.")
    error: str | None = Field(description="Why none came, or why it was given up.")
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class AttemptView(BaseModel):
    """One try; without an end it is under way, or its sender was lost."""

    attempt: int
    started_at: datetime
    ended_at: datetime | None
    status: int | None
    error: str | None
    response: str | None = Field(description="The first 1000 bytes of the answer's body.")


_NEWS: dict[str, Any] = {
    "job_id": _DELIVERY["job_id"],
    "project_id": "prj_default",
    "model_id": "mod_01kaq8d5f1g3h5j7k9m2n4p6q8",
    "state": "succeeded",
    "outcome": "target_met",
    "error_code": None,
    "attempt": 2,
    "version": 41,
    "seq": 27,
    "submitted_at": "2026-11-22T05:01:00Z",
    "queued_at": "2026-11-22T05:01:02Z",
    "running_at": "2026-11-22T05:01:03Z",
    "finished_at": "2026-11-22T05:10:00Z",
}
_MESSAGE: dict[str, Any] = {"type": "job.succeeded", "timestamp": "2026-11-22T05:10:00Z", "data": _NEWS}
_ATTEMPT = {
    "attempt": 1,
    "started_at": "2026-11-22T05:10:00.210Z",
    "ended_at": "2026-11-22T05:10:00.330Z",
    "status": 503,
    "error": None,
    "response": "try again later",
}
_DETAIL: dict[str, Any] = _DELIVERY | {"payload": _MESSAGE, "attempts": [_ATTEMPT]}


class DeliveryDetail(DeliveryView):
    """A delivery with what is sent and what came of every try."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DETAIL]})

    payload: dict[str, Any]
    attempts: list[AttemptView]


class DeliveriesPage(BaseModel):
    deliveries: list[DeliveryView]
    next_page_token: str | None


class JobNews(BaseModel):
    """What is told of a job. Messages may come late, twice or in another order: `version` only grows."""

    job_id: str
    project_id: str
    model_id: str
    state: JobState
    outcome: Outcome | None
    error_code: str | None
    attempt: int
    version: int
    seq: int = Field(description="The newest event of the job at that moment: GET /v1/jobs/{id}/events.")
    submitted_at: datetime
    queued_at: datetime | None
    running_at: datetime | None
    finished_at: datetime | None


class DisabledNews(BaseModel):
    """What is told of a webhook that was switched off."""

    webhook_id: str
    project_id: str
    reason: Reason
    disabled_at: datetime


class TestNews(BaseModel):
    """What a test says: nothing."""

    webhook_id: str
    project_id: str


class JobMessage(BaseModel):
    """A message about a job: the body of a POST to the webhook's url."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MESSAGE]})

    type: WebhookEvent
    timestamp: datetime
    data: JobNews


class DisabledMessage(BaseModel):
    """A message about another webhook."""

    type: Literal["webhook.disabled"]
    timestamp: datetime
    data: DisabledNews


class TestMessage(BaseModel):
    """A message that was asked for with POST /v1/webhooks/{webhook_id}/test."""

    type: Literal["webhook.test"]
    timestamp: datetime
    data: TestNews
