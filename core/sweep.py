"""What every process does now and then: ring unsent bells, take jobs from lost workers, end and forget what is old.

Safe to run anywhere, any number of times at once: each step is one short transaction that checks before it changes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core import jobs
from core.audit import SYSTEM, Deed, append
from core.db import Database, utc_now
from core.keys import PepperMissing, load_pepper
from core.processes import ProcessIdentity
from core.queue import DEVICES, Bell, dispatch
from core.retention import Retention, retentions
from core.settings import Settings
from core.tables import IdempotencyKey, Job, Project, WebhookDelivery, Worker
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
            for kept in retentions(session, self._settings.retention_days):
                jobs.expire(session, kept.max_age, kept.covers(Job.project_id))
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
        with self._database.transaction() as session:
            found = retentions(session, self._settings.retention_days)
        for kept in found:
            while self._forget_jobs(kept) or self._forget_deliveries(kept):
                pass
        with self._database.transaction() as session:
            now = utc_now(session)
            old_answers = IdempotencyKey.created_at < now - timedelta(hours=IDEMPOTENCY_HOURS)
            session.execute(delete(IdempotencyKey).where(old_answers))
            session.execute(delete(Worker).where(Worker.seen_at < now - timedelta(days=WORKER_DAYS)))

    def _forget_jobs(self, kept: Retention) -> int:
        """Forget some jobs, and note it in the audit logs; who lacks the pepper to seal them leaves it to others."""
        try:
            pepper = load_pepper(self._settings)
        except PepperMissing:
            log.warning("retention.left_to_others", reason="SECATEUR_KEY_PEPPER is not set for this process")
            return 0
        with self._database.transaction() as session:
            forgotten = jobs.forget(session, kept.max_age, kept.covers(Job.project_id))
            _note_forgotten(session, forgotten, kept.days, pepper)
        return forgotten.total()

    def _forget_deliveries(self, kept: Retention) -> int:
        with self._database.transaction() as session:
            mine = kept.covers(WebhookDelivery.project_id)
            return deliveries.forget(session, kept.max_age, utc_now(session), mine)

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


def _note_forgotten(session: Session, forgotten: Counter[str], days: int, pepper: bytes) -> None:
    """Add an entry for each project, in one order everywhere, so that two sweeps cannot lock each other out."""
    owners = select(Project.organization_id, Project.id).where(Project.id.in_(forgotten))
    for organization_id, project_id in session.execute(owners.order_by(Project.organization_id, Project.id)).all():
        details = {"jobs": forgotten[project_id], "retention_days": days}
        deed = Deed(SYSTEM, "retention", "DELETE /v1/jobs/{job_id}", "/v1/jobs", project_id, details=details)
        append(session, organization_id, deed, pepper)
