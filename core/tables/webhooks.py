"""Where projects want to be told, what is to be sent there, and each try."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.tables.base import Row


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


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
    traceparent: Mapped[str | None] = mapped_column(String(55))  # of the change that it tells of, see core.tracing
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
