"""A message's way to its receiver: claimed by one sender at a time, settled, tried again, given up, asked for again.

Whoever locks a webhook and one of its deliveries locks the webhook first. Every lock but a deletion's leaves
`announce` alone: a job's change of state waits for no receiver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.metrics.counting import count_once_written
from core.metrics.table import MESSAGES_ENDED, WEBHOOKS_DISABLED
from core.tables import DeliveryState, Webhook, WebhookAttempt, WebhookDelivery
from core.webhooks.outbox import listeners, write
from core.webhooks.schedule import wait_seconds
from core.webhooks.words import TEST_EVENT, Answer, Errand, WebhookEvent, WebhookInactive, WebhookNotFound

S = DeliveryState

AT_ONCE_EACH: Final = 4
"""Messages under way to one webhook: a receiver that answers slowly holds up nobody but itself."""
AT_ONCE_PROJECT: Final = 8
"""And of one project: it may have many such receivers, and a sender has 32 hands for all projects."""

GONE: Final = 410
SWITCHED_OFF: Final = "The webhook was switched off before this could be delivered."
SENDER_LOST: Final = "The sender was lost before it could tell what came of this."
SENDER_STOPPED: Final = "The sender was stopped before an answer came. Another one sends it again."
FAILING, SAID_GONE, SECRET_LOST = "failing", "gone", "secret-lost"
"""Why a webhook was switched off by us; null where its owner did it."""


@dataclass(frozen=True)
class Ruling:
    """What is decided outside of the rows: how long a webhook may fail, and where in its spread a wait falls."""

    disable_after: timedelta
    chance: float


def claim(session: Session, *, sender_id: str, lease_seconds: float, now: datetime) -> Errand | None:
    """Take the message that is due longest, or None. No two senders get the same one while its lease lasts."""
    due = (
        select(WebhookDelivery, Webhook)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(WebhookDelivery.state == S.PENDING, WebhookDelivery.next_attempt_at <= now, _unheld(now))
        .where(Webhook.active)
        .where(WebhookDelivery.webhook_id.not_in(_crowded(WebhookDelivery.webhook_id, AT_ONCE_EACH, now)))
        .where(WebhookDelivery.project_id.not_in(_crowded(WebhookDelivery.project_id, AT_ONCE_PROJECT, now)))
        .order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id)
        .limit(1)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    )
    found = session.execute(due).first()
    if found is None:
        return None
    delivery, webhook = found
    _begin_attempt(session, delivery, now)
    delivery.lease_owner, delivery.lease_expires_at = sender_id, now + timedelta(seconds=lease_seconds)
    return _errand_of(delivery, webhook, sender_id, now)


def _crowded(whose: InstrumentedAttribute[str], most: int, now: datetime) -> Select[str]:
    """Return those, webhooks or projects, that have so many messages under way already."""
    under_way = select(whose).where(WebhookDelivery.lease_expires_at > now)
    return under_way.group_by(whose).having(func.count() >= most)


def settle(session: Session, errand: Errand, answer: Answer, ruling: Ruling, now: datetime) -> str | None:
    """Write down what came of an errand; return why the webhook was switched off by it, or None.

    An errand whose lease ran out and was given to another changes nothing but its own attempt's line.
    """
    webhook = _locked_webhook(session, errand.webhook_id)
    delivery = session.get(WebhookDelivery, errand.delivery_id, with_for_update=True)
    if webhook is None or delivery is None:
        return None
    _end_attempt(session, errand, answer, now)
    if (delivery.lease_owner, delivery.attempt) != (errand.sender_id, errand.attempt):
        return None
    delivery.lease_owner = delivery.lease_expires_at = None
    delivery.status, delivery.error = answer.status, answer.error
    if answer.is_welcome:
        webhook.failing_since = None
        _end(session, delivery, S.DELIVERED, now)
        return None
    reason = None if delivery.type == TEST_EVENT else _judge(session, webhook, answer, ruling, now)
    _wait_or_give_up(session, delivery, webhook, answer, ruling, now)
    return reason


def give_back(session: Session, errand: Errand, now: datetime) -> None:
    """Let a message be due again whose sender stops before an answer: that was none of its tries."""
    delivery = session.get(WebhookDelivery, errand.delivery_id, with_for_update=True)
    if delivery is None:
        return
    _end_attempt(session, errand, Answer(error=SENDER_STOPPED), now)
    if (delivery.lease_owner, delivery.attempt) == (errand.sender_id, errand.attempt):
        delivery.lease_owner = delivery.lease_expires_at = None
        delivery.tries -= 1


def disable(session: Session, webhook_id: str, reason: str, now: datetime) -> bool:
    """Switch a webhook off, give up what waits for it, and tell the project's others; False when it was off."""
    webhook = _locked_webhook(session, webhook_id)
    if webhook is None or not webhook.active:
        return False
    count_once_written(session, WEBHOOKS_DISABLED, reason)
    webhook.active, webhook.disabled_at, webhook.disabled_reason, webhook.updated_at = False, now, reason, now
    session.flush()
    give_up_waiting(session, webhook_id, now)
    told = {"webhook_id": webhook_id, "project_id": webhook.project_id, "reason": reason, "disabled_at": now}
    kind = WebhookEvent.WEBHOOK_DISABLED
    write(session, webhook.project_id, listeners(session, webhook.project_id, kind), kind, told, now)
    return True


def give_up_waiting(session: Session, webhook_id: str, now: datetime) -> None:
    """End every message that waits for a webhook; one that is under way is ended by its sender."""
    _give_up(session, WebhookDelivery.webhook_id == webhook_id, now)


def give_up_stranded(session: Session, now: datetime, limit: int = 500) -> None:
    """End what waits for a webhook that is off: written while it was switched off, or left by a sender that is lost."""
    off = WebhookDelivery.webhook_id.in_(select(Webhook.id).where(~Webhook.active))
    stranded = select(WebhookDelivery.id).where(off, WebhookDelivery.state == S.PENDING, _unheld(now))
    found = session.scalars(stranded.limit(limit).with_for_update(skip_locked=True)).all()
    _give_up(session, WebhookDelivery.id.in_(found), now)


def _give_up(session: Session, which: ColumnElement[bool], now: datetime) -> None:
    waiting = update(WebhookDelivery).where(which, WebhookDelivery.state == S.PENDING, _unheld(now))
    session.execute(waiting.values(state=S.FAILED, next_attempt_at=None, finished_at=now, error=SWITCHED_OFF))


def _unheld(now: datetime) -> ColumnElement[bool]:
    return or_(WebhookDelivery.lease_expires_at.is_(None), WebhookDelivery.lease_expires_at <= now)


def redeliver(session: Session, project_id: str, webhook_id: str, delivery_id: str, now: datetime) -> WebhookDelivery:
    """Make a message due now, with all its tries before it again; one that is under way is left alone.

    Raises WebhookNotFound or WebhookInactive.
    """
    webhook = webhook_in(session, project_id, webhook_id)
    if not webhook.active:
        raise WebhookInactive(webhook_id)
    mine = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id)
    delivery = session.scalars(mine.with_for_update()).first()
    if delivery is None:
        raise WebhookNotFound(delivery_id)
    if delivery.lease_expires_at is None or delivery.lease_expires_at <= now:
        delivery.state, delivery.tries, delivery.next_attempt_at = S.PENDING, 0, now
        delivery.finished_at = delivery.status = delivery.error = None
    return delivery


def webhook_in(session: Session, project_id: str, webhook_id: str) -> Webhook:
    """Return the project's webhook, locked, or raise WebhookNotFound."""
    webhook = _locked_webhook(session, webhook_id)
    if webhook is None or webhook.project_id != project_id:
        raise WebhookNotFound(webhook_id)
    return webhook


def remove(session: Session, project_id: str, webhook_id: str) -> None:
    """Forget a webhook and all that it was told. Raises WebhookNotFound."""
    mine = select(Webhook).where(Webhook.id == webhook_id, Webhook.project_id == project_id)
    if session.scalars(mine.with_for_update()).first() is None:  # waits for whoever is about to tell it something
        raise WebhookNotFound(webhook_id)
    found = session.scalars(select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == webhook_id)).all()
    _remove(session, found)
    session.execute(delete(Webhook).where(Webhook.id == webhook_id))


def forget(
    session: Session, max_age: timedelta, now: datetime, *conditions: ColumnElement[bool], limit: int = 500
) -> int:
    """Remove up to `limit` deliveries that ended longer than `max_age` ago; return how many."""
    ended = select(WebhookDelivery.id).where(WebhookDelivery.finished_at < now - max_age, *conditions)
    found = ended.order_by(WebhookDelivery.finished_at).limit(limit).with_for_update(skip_locked=True)
    delivery_ids = session.scalars(found).all()
    _remove(session, delivery_ids)
    return len(delivery_ids)


def _remove(session: Session, delivery_ids: Sequence[str]) -> None:
    for start in range(0, len(delivery_ids), 500):  # a statement takes only so many parameters
        part = delivery_ids[start : start + 500]
        session.execute(delete(WebhookAttempt).where(WebhookAttempt.delivery_id.in_(part)))
        session.execute(delete(WebhookDelivery).where(WebhookDelivery.id.in_(part)))


def _locked_webhook(session: Session, webhook_id: str) -> Webhook | None:
    """Lock the row against changes; who only refers to it need not wait (FOR NO KEY UPDATE)."""
    return session.scalars(select(Webhook).where(Webhook.id == webhook_id).with_for_update(key_share=True)).first()


def _begin_attempt(session: Session, delivery: WebhookDelivery, now: datetime) -> None:
    if delivery.lease_owner is not None:
        lost = update(WebhookAttempt).where(
            WebhookAttempt.delivery_id == delivery.id, WebhookAttempt.attempt == delivery.attempt
        )
        session.execute(lost.values(error=SENDER_LOST))
    delivery.attempt += 1
    delivery.tries += 1
    session.add(WebhookAttempt(delivery_id=delivery.id, attempt=delivery.attempt, started_at=now))


def _errand_of(delivery: WebhookDelivery, webhook: Webhook, sender_id: str, now: datetime) -> Errand:
    salts = [webhook.salt]
    if webhook.previous_salt and webhook.previous_expires_at and webhook.previous_expires_at > now:
        salts.append(webhook.previous_salt)
    return Errand(
        delivery_id=delivery.id,
        webhook_id=webhook.id,
        attempt=delivery.attempt,
        sender_id=sender_id,
        url=webhook.url,
        message_id=delivery.message_id,
        payload=delivery.payload.encode(),
        at=now,
        salts=tuple(salts),
        pepper_id=webhook.pepper_id,
        traceparent=delivery.traceparent,
    )


def _end_attempt(session: Session, errand: Errand, answer: Answer, now: datetime) -> None:
    line = session.get_one(WebhookAttempt, (errand.delivery_id, errand.attempt))
    line.ended_at, line.status, line.error, line.response = now, answer.status, answer.error, answer.body


def _end(session: Session, delivery: WebhookDelivery, state: DeliveryState, now: datetime) -> None:
    delivery.state, delivery.next_attempt_at, delivery.finished_at = state, None, now
    count_once_written(session, MESSAGES_ENDED, str(state))


def _judge(session: Session, webhook: Webhook, answer: Answer, ruling: Ruling, now: datetime) -> str | None:
    """Switch the webhook off if its receiver wants no more, or has failed for too long; return why."""
    webhook.failing_since = webhook.failing_since or now
    if answer.status == GONE:
        reason = SAID_GONE
    elif now - webhook.failing_since >= ruling.disable_after:
        reason = FAILING
    else:
        return None
    return reason if disable(session, webhook.id, reason, now) else None


def _wait_or_give_up(
    session: Session, delivery: WebhookDelivery, webhook: Webhook, answer: Answer, ruling: Ruling, now: datetime
) -> None:
    wait = wait_seconds(delivery.tries, ruling.chance, answer.retry_after_seconds)
    if wait is None or not webhook.active or delivery.type == TEST_EVENT:
        _end(session, delivery, S.FAILED, now)
    else:
        delivery.next_attempt_at = now + timedelta(seconds=wait)
