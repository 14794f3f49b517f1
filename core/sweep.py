"""What every process does now and then: ring unsent bells, take jobs from lost workers, end and forget what is old.

Safe to run anywhere, any number of times at once: each step is one short transaction that checks before it changes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import delete, select

from core import jobs
from core.db import Database, utc_now
from core.processes import ProcessIdentity
from core.queue import DEVICES, Bell, dispatch
from core.settings import Settings
from core.tables import IdempotencyKey, Worker
from core.webhooks import deliveries

IDEMPOTENCY_HOURS: Final = 24
WORKER_DAYS: Final = 1
"""How long a stored answer is replayed, and how long a dead worker is still shown."""

log = structlog.get_logger()


class Sweeper:
    """Sweeps one database; remembers between sweeps which leases it has already seen run out."""

    def __init__(self, database: Database, bell: Bell, settings: Settings) -> None:
        self._database, self._bell, self._settings = database, bell, settings
        self._limits = jobs.Limits.of(settings)
        self._late_since: dict[jobs.Lease, float] = {}
        self._unserved_since: dict[str, float] = {}

    def sweep(self) -> None:
        """Do every step once."""
        self.take_from_the_lost()
        with self._database.transaction() as session:
            jobs.expire(session, timedelta(days=self._settings.retention_days))
            jobs.expire_late(session)
        with self._database.transaction() as session:
            deliveries.give_up_stranded(session, utc_now(session))
        self.give_up_the_unserved()
        dispatch(self._database, self._bell)

    def take_from_the_lost(self) -> int:
        """Give back the jobs of workers that are gone or silent; return how many."""
        with self._database.transaction() as session:
            gone = _gone_workers(session.scalars(select(Worker)))
            leases = jobs.overdue(session, gone)
        lost = [lease for lease in leases if lease.worker_id in gone or self._is_really_late(lease)]
        self._late_since = {lease: self._late_since[lease] for lease in leases if lease in self._late_since}
        return sum(self._reap(lease) for lease in lost)

    def give_up_the_unserved(self) -> int:
        """End jobs whose device no worker has served for too long; return how many.

        That long this process itself must have seen none: workers may be away for an upgrade, a clock may jump.
        """
        with self._database.transaction() as session:
            alive = Worker.seen_at > utc_now(session) - timedelta(seconds=2 * self._settings.lease_seconds)
            served = {device for devices in session.scalars(select(Worker.devices).where(alive)) for device in devices}
            now, wait_seconds = time.monotonic(), self._settings.device_wait_seconds
            self._unserved_since = {d: self._unserved_since.get(d, now) for d in DEVICES if d not in served}
            return sum(
                jobs.expire_unserved(session, device, timedelta(seconds=wait_seconds))
                for device, since in self._unserved_since.items()
                if now - since >= wait_seconds
            )

    def forget_the_old(self) -> None:
        """Delete ended jobs, the log of webhooks, answers that are no longer replayed, workers not seen for long."""
        while self._forget_jobs():
            pass
        while self._forget_deliveries():
            pass
        with self._database.transaction() as session:
            now = utc_now(session)
            old_answers = IdempotencyKey.created_at < now - timedelta(hours=IDEMPOTENCY_HOURS)
            session.execute(delete(IdempotencyKey).where(old_answers))
            session.execute(delete(Worker).where(Worker.seen_at < now - timedelta(days=WORKER_DAYS)))

    def _forget_jobs(self) -> int:
        with self._database.transaction() as session:
            return jobs.forget(session, timedelta(days=self._settings.retention_days))

    def _forget_deliveries(self) -> int:
        with self._database.transaction() as session:
            return deliveries.forget(session, timedelta(days=self._settings.retention_days), utc_now(session))

    def _is_really_late(self, lease: jobs.Lease) -> bool:
        """Whether the lease stood still for two beats by this process's own steady clock.

        The database's clock may be put forward, and then every lease looks late at once; a live worker renews its own
        within one beat (a sixth of a lease).
        """
        first_seen = self._late_since.setdefault(lease, time.monotonic())
        return time.monotonic() - first_seen >= self._settings.lease_seconds / 3

    def _reap(self, lease: jobs.Lease) -> bool:
        with self._database.transaction() as session:
            reaped = jobs.reap(session, lease, self._limits)
        if reaped:
            log.warning("job.worker_lost", job_id=lease.job_id, worker_id=lease.worker_id, attempt=lease.attempt)
        return reaped


def _gone_workers(workers: Iterable[Worker]) -> set[str]:
    return {row.id for row in workers if ProcessIdentity(row.boot_id, row.pid, row.pid_started).is_gone}
