"""Writes what webhooks are to be told, in the transaction of the change that they are told of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ids import new_id
from core.tables import DeliveryState, Job, JobState, Webhook, WebhookDelivery
from core.tracing.carried import current_traceparent
from core.webhooks.words import EVENT_OF_STATE, TEST_EVENT


def announce(session: Session, job: Job, now: datetime) -> None:
    """Write a delivery of the job's new state for each webhook that wants to know of it."""
    kind = EVENT_OF_STATE.get(JobState(job.state))
    if kind is None:
        return
    webhook_ids = listeners(session, job.project_id, kind)
    if webhook_ids:
        write(session, job.project_id, webhook_ids, kind, _told_of(job), now, job=job)


def write_test(session: Session, webhook: Webhook, now: datetime) -> WebhookDelivery:
    """Write a message that tells nothing, to one webhook."""
    told = {"webhook_id": webhook.id, "project_id": webhook.project_id}
    return write(session, webhook.project_id, [webhook.id], TEST_EVENT, told, now)[0]


def listeners(session: Session, project_id: str, kind: str) -> list[str]:
    """Return the ids of the project's active webhooks that want this event; none is deleted before the commit."""
    mine = select(Webhook.id, Webhook.events).where(Webhook.project_id == project_id, Webhook.active)
    with session.no_autoflush:  # an ended job's row must be written once, when all of it is known
        found = session.execute(mine.with_for_update(read=True, key_share=True)).all()
    return [webhook_id for webhook_id, events in found if not events or kind in events]


def write(
    session: Session,
    project_id: str,
    webhook_ids: Iterable[str],
    kind: str,
    told: dict[str, Any],
    now: datetime,
    *,
    job: Job | None = None,
) -> list[WebhookDelivery]:
    """Write one message to several webhooks, due at once. They share its id: it is the same message.

    It belongs to the trace in which it is written; what nobody asked for just now, to that of the job.
    """
    content = {"type": kind, "timestamp": now, "data": told}
    payload = orjson.dumps(content, option=orjson.OPT_UTC_Z).decode()
    message_id = new_id("msg")
    traceparent = current_traceparent() or (job.traceparent if job else None)
    deliveries = [
        WebhookDelivery(
            id=new_id("dlv"),
            project_id=project_id,
            webhook_id=webhook_id,
            message_id=message_id,
            type=kind,
            job_id=job.id if job else None,
            payload=payload,
            traceparent=traceparent,
            state=DeliveryState.PENDING,
            attempt=0,
            tries=0,
            next_attempt_at=now,
            created_at=now,
        )
        for webhook_id in webhook_ids
    ]
    session.add_all(deliveries)
    return deliveries


def _told_of(job: Job) -> dict[str, Any]:
    """Return ids, state and times, and no more: whoever wants the rest asks for it with a key."""
    return {
        "job_id": job.id,
        "project_id": job.project_id,
        "model_id": job.model_id,
        "state": str(job.state),
        "outcome": job.outcome,
        "error_code": job.error["code"] if job.error else None,
        "attempt": job.attempt,
        "version": job.version,
        "seq": job.last_seq,
        "submitted_at": job.submitted_at,
        "queued_at": job.queued_at,
        "running_at": job.running_at,
        "finished_at": job.finished_at,
    }
