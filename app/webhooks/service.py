"""Webhooks between rows and clients: what is shown, what is checked before one is written or changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from app.errors import Problem, not_found
from app.services import Services
from app.webhooks.schemas import AttemptView, DeliveryView, WebhookChange, WebhookRequest, WebhookView
from core.db import Query, Record, utc_now
from core.ids import new_id
from core.keys import pepper_id
from core.tables import Project, Webhook, WebhookAttempt, WebhookDelivery
from core.webhooks import deliveries
from core.webhooks.addresses import Unreachable, check_url
from core.webhooks.outbox import write_test
from core.webhooks.signing import new_salt, secret_of, shown
from core.webhooks.words import WebhookInactive, WebhookNotFound

T = TypeVar("T")

_SHOWN: Final = tuple(name for name in WebhookView.model_fields if name != "previous_secret_expires_at")
_WEBHOOK = (
    *(Webhook.__table__.columns[name] for name in _SHOWN),
    Webhook.previous_expires_at.label("previous_secret_expires_at"),
)
_DELIVERY = tuple(WebhookDelivery.__table__.columns[name] for name in DeliveryView.model_fields)
_MINE: Final = Webhook.project_id == bindparam("project_id")
_ITS: Final = (
    WebhookDelivery.project_id == bindparam("project_id"),
    WebhookDelivery.webhook_id == bindparam("webhook_id"),
)

webhook_statement: Final = Query(select(*_WEBHOOK).where(_MINE, Webhook.id == bindparam("webhook_id")))
webhooks_page_statement: Final = Query(
    select(*_WEBHOOK)
    .where(_MINE, Webhook.id < bindparam("before"))
    .order_by(Webhook.id.desc())
    .limit(bindparam("limit"))
)
deliveries_page_statement: Final = Query(
    select(*_DELIVERY)
    .where(*_ITS, WebhookDelivery.id < bindparam("before"))
    .order_by(WebhookDelivery.id.desc())
    .limit(bindparam("limit"))
)
delivery_statement: Final = Query(
    select(*_DELIVERY, WebhookDelivery.payload).where(*_ITS, WebhookDelivery.id == bindparam("delivery_id"))
)
attempts_statement: Final = Query(
    select(*(WebhookAttempt.__table__.columns[name] for name in AttemptView.model_fields))
    .join(WebhookDelivery, WebhookDelivery.id == WebhookAttempt.delivery_id)
    .where(*_ITS, WebhookAttempt.delivery_id == bindparam("delivery_id"))
    .order_by(WebhookAttempt.attempt)
)


def create(session: Session, project_id: str, services: Services, asked: WebhookRequest) -> Record:
    """Write a webhook; return it with its secret, which is never shown again."""
    _check(services, asked.url)
    _check_room(session, project_id, services.settings.webhooks_per_project)
    now = utc_now(session)
    row = Webhook(
        id=new_id("whk"),
        project_id=project_id,
        url=asked.url,
        description=asked.description,
        events=_told_once(asked.events),
        active=asked.active,
        salt=new_salt(),
        pepper_id=pepper_id(services.pepper),
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    return _view_with_secret(row, services)


def change(session: Session, project_id: str, services: Services, webhook_id: str, asked: WebhookChange) -> Record:
    """Change what is named. Switching off gives up what waits; switching on forgets the failures before."""
    changes = asked.model_dump(exclude_unset=True)
    if "url" in changes:
        _check(services, asked.url)
    if "events" in changes:
        changes["events"] = _told_once(asked.events)
    row, now = _locked(session, project_id, webhook_id), utc_now(session)
    if changes.get("active") is True and not row.active:
        row.failing_since = row.disabled_at = row.disabled_reason = None
    for name, value in changes.items():
        setattr(row, name, value)
    row.updated_at = now
    session.flush()
    if not row.active:
        deliveries.give_up_waiting(session, webhook_id, now)
    return _view(row)


def rotate(session: Session, project_id: str, services: Services, webhook_id: str, overlap_seconds: int) -> Record:
    """Give the webhook a new secret, and let the old one sign beside it for a while; return it with the new one."""
    row, now = _locked(session, project_id, webhook_id), utc_now(session)
    ours = pepper_id(services.pepper)
    keeps_old = overlap_seconds > 0 and row.pepper_id == ours  # of another pepper's secret nothing is left
    row.previous_salt = row.salt if keeps_old else None
    row.previous_expires_at = now + timedelta(seconds=overlap_seconds) if keeps_old else None
    row.salt, row.pepper_id, row.updated_at = new_salt(), ours, now
    return _view_with_secret(row, services)


def test(session: Session, project_id: str, webhook_id: str) -> Record:
    """Write a test message."""
    row = _locked(session, project_id, webhook_id)
    if not row.active:
        raise _inactive(webhook_id)
    delivery = write_test(session, row, utc_now(session))
    session.flush()
    return delivery_view(delivery)


def redeliver(session: Session, project_id: str, webhook_id: str, delivery_id: str) -> Record:
    """Have a message sent again."""
    _locked(session, project_id, webhook_id)
    now = utc_now(session)
    try:
        delivery = _found(
            "delivery",
            delivery_id,
            lambda: deliveries.redeliver(session, project_id, webhook_id, delivery_id, now),
        )
    except WebhookInactive as error:
        raise _inactive(webhook_id) from error
    session.flush()
    return delivery_view(delivery)


def remove(session: Session, project_id: str, webhook_id: str) -> None:
    """Delete a webhook with the log of its deliveries."""
    _found("webhook", webhook_id, lambda: deliveries.remove(session, project_id, webhook_id))


def delivery_view(row: WebhookDelivery) -> Record:
    return {name: getattr(row, name) for name in DeliveryView.model_fields}


def detail(row: Record, attempts: list[Record]) -> dict[str, Any]:
    """Return a delivery with its payload and its tries."""
    return {**row, "payload": orjson.loads(row["payload"]), "attempts": attempts}


def _view(row: Webhook) -> Record:
    return {name: getattr(row, name) for name in _SHOWN} | {"previous_secret_expires_at": row.previous_expires_at}


def _view_with_secret(row: Webhook, services: Services) -> Record:
    return _view(row) | {"secret": shown(secret_of(services.pepper, row.id, row.salt))}


def _told_once(events: list[Any]) -> list[str]:
    return list(dict.fromkeys(str(event) for event in events))


def _locked(session: Session, project_id: str, webhook_id: str) -> Webhook:
    return _found("webhook", webhook_id, lambda: deliveries.webhook_in(session, project_id, webhook_id))


def _found(word: str, identifier: str, look: Callable[[], T]) -> T:
    try:
        return look()
    except WebhookNotFound as error:
        raise not_found(word, identifier) from error


def _inactive(webhook_id: str) -> Problem:
    message = f"Webhook {webhook_id} is switched off and is sent nothing. PATCH it with active: true first."
    return Problem("state-conflict", message)


def _check(services: Services, url: str) -> None:
    try:
        check_url(url, services.settings.webhook_private_networks)
    except Unreachable as refusal:
        detail = f"url: {refusal}"
        errors = [{"pointer": "/url", "code": "unreachable", "detail": str(refusal)}]
        raise Problem("validation-failed", detail, errors=errors) from refusal


def _check_room(session: Session, project_id: str, limit: int) -> None:
    """Refuse one webhook too many; the project's row is locked, so that two at once are counted."""
    session.get(Project, project_id, with_for_update={"key_share": True})
    count = session.scalar(select(func.count()).where(Webhook.project_id == project_id)) or 0
    if count >= limit:
        message = f"The project has {count} webhooks, and {limit} is the limit. Delete one first."
        raise Problem("quota-exceeded", message, limit=limit)
