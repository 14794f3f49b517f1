"""Webhooks and what is written for them, as the tests of core and of the sender begin with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db import Database, utc_now
from core.ids import new_id
from core.keys import pepper_id
from core.tables import Webhook, WebhookAttempt, WebhookDelivery
from core.webhooks import deliveries
from core.webhooks.deliveries import Ruling
from core.webhooks.signing import new_salt, secret_of, shown
from core.webhooks.words import Errand
from tests.core.samples import PROJECT_ID, add_model

PEPPER = b"a test's"
RULING = Ruling(disable_after=timedelta(days=5), chance=0.5)


class Clock:
    """A moment that only the test moves; it begins after all rows that a test writes."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(hours=1)

    def __call__(self, _session: Session) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def add_webhook(database: Database, url: str = "https://example.com/hook", **changes: Any) -> str:
    """Write a webhook of the sample project and return its id."""
    with database.transaction() as session:
        add_model(session)
        now = utc_now(session)
        values: dict[str, Any] = {
            "id": new_id("whk"),
            "project_id": PROJECT_ID,
            "url": url,
            "description": "",
            "events": [],
            "active": True,
            "salt": new_salt(),
            "pepper_id": pepper_id(PEPPER),
            "created_at": now,
            "updated_at": now,
        }
        row = Webhook(**{**values, **changes})
        session.add(row)
        return row.id


def change_webhook(database: Database, webhook_id: str, **changes: Any) -> None:
    with database.transaction() as session:
        for name, value in changes.items():
            setattr(session.get_one(Webhook, webhook_id), name, value)


def secret_of_webhook(database: Database, webhook_id: str) -> str:
    return shown(secret_of(PEPPER, webhook_id, read_webhook(database, webhook_id).salt))


def read_webhook(database: Database, webhook_id: str) -> Webhook:
    with database.transaction() as session:
        row = session.get_one(Webhook, webhook_id)
        session.expunge(row)
        return row


def deliveries_of(database: Database, webhook_id: str | None = None) -> list[WebhookDelivery]:
    """Return what is written for one webhook, or for all, the oldest first."""
    with database.transaction() as session:
        wanted = select(WebhookDelivery).order_by(WebhookDelivery.id)
        if webhook_id is not None:
            wanted = wanted.where(WebhookDelivery.webhook_id == webhook_id)
        rows = list(session.scalars(wanted))
        session.expunge_all()
        return rows


def attempts_of(database: Database, delivery_id: str) -> list[WebhookAttempt]:
    with database.transaction() as session:
        wanted = select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery_id)
        rows = list(session.scalars(wanted.order_by(WebhookAttempt.attempt)))
        session.expunge_all()
        return rows


def claim_delivery(database: Database, sender_id: str = "snd_1", *, later: float = 0.0) -> Errand | None:
    """Claim as a sender does, `later` seconds from now."""
    with database.transaction() as session:
        now = utc_now(session) + timedelta(seconds=later)
        return deliveries.claim(session, sender_id=sender_id, lease_seconds=60, now=now)
