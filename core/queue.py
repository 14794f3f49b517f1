"""The bell: it tells an idle worker to look at the jobs table now, and carries nothing but a job's id.

A bell that is lost, doubled or late changes no result. Messages go through Celery where there is a broker; without one
nobody is rung, and workers find their jobs by polling.
"""

from __future__ import annotations

from typing import Final, Protocol

import structlog
from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import KombuError
from sqlalchemy import delete

from core.db import Database
from core.queries import outbox_statement
from core.settings import Settings
from core.tables import Outbox

RING_TASK: Final = "worker.ring"
DEVICES: Final = ("cpu", "gpu")
"""One Celery queue for each kind of device."""

SOCKET_TIMEOUT_SECONDS: Final = 3

log = structlog.get_logger()


class BellBroken(Exception):
    """The broker does not answer; the bell stays in the outbox."""


class Bell(Protocol):
    def ring(self, job_id: str, device: str) -> None:
        """Wake a worker for this device. Raises BellBroken."""


class SilentBell:
    """Rings nobody: for workers that poll."""

    def ring(self, job_id: str, device: str) -> None:
        pass


class CeleryBell:
    """Sends the job's id to the queue of its device."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def ring(self, job_id: str, device: str) -> None:
        try:
            self._app.send_task(RING_TASK, args=[job_id], queue=device, ignore_result=True, retry=False)
        except (KombuError, OSError) as error:
            raise BellBroken(f"The broker does not answer: {type(error).__name__}.") from error


def open_bell(settings: Settings) -> Bell:
    """Return the bell that the settings ask for; nothing is connected before the first ring."""
    return SilentBell() if settings.broker_url is None else CeleryBell(celery_app(settings))


def celery_app(settings: Settings) -> Celery:
    """Make the Celery application. Messages are acknowledged early: the row is the truth."""
    app = Celery("secateur", broker=settings.broker_url.get_secret_value() if settings.broker_url else None)
    app.conf.update(
        task_queues=[Queue(device) for device in DEVICES],  # type: ignore[no-untyped-call]  # kombu has no types here
        task_default_queue="cpu",
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_pool="threads",
        worker_concurrency=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_timeout=SOCKET_TIMEOUT_SECONDS,
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "socket_timeout": SOCKET_TIMEOUT_SECONDS,
            "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,
            "health_check_interval": 25,
        },
    )
    return app


def dispatch(database: Database, bell: Bell, limit: int = 100) -> int:
    """Ring the bells that wait in the outbox, oldest first; return how many. Stops quietly where the broker is down.

    Two processes may ring the same bell: that is harmless, and cheaper than a lock held while the broker answers.
    """
    rung = []
    for row in database.read_all(outbox_statement(limit=limit)):
        try:
            bell.ring(row["payload"]["job_id"], row["payload"]["device"])
        except BellBroken as error:
            log.warning("bell.broken", reason=str(error))
            break
        rung.append(row["id"])
    if rung:
        with database.transaction() as session:
            session.execute(delete(Outbox).where(Outbox.id.in_(rung)))
    return len(rung)
