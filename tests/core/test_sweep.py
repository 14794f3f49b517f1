"""What is lost is found: jobs of dead workers, silent workers, bells never rung, rows that are too old."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core import jobs
from core.db import Database, utc_now
from core.processes import ProcessIdentity, this_process
from core.queue import SilentBell
from core.retention import retentions
from core.settings import Settings
from core.sweep import Sweeper
from core.tables import (
    DEFAULT_ORGANIZATION_ID,
    AuditEntry,
    IdempotencyKey,
    Job,
    Organization,
    Outbox,
    Project,
    Worker,
)
from tests.core.samples import PROJECT_ID, WORKER_ID, read_job, running_claim, state_of, submit_job


@pytest.fixture
def dead() -> ProcessIdentity:
    """A process of this boot that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    me = this_process()
    identity = ProcessIdentity(me.boot_id, process.pid, _started(process.pid))
    assert not identity.is_gone
    process.communicate()
    return identity


def _started(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[19]


def enlist(database: Database, identity: ProcessIdentity) -> None:
    with database.transaction() as session:
        now = utc_now(session)
        session.add(
            Worker(
                id=WORKER_ID,
                host="here",
                boot_id=identity.boot_id,
                pid=identity.pid,
                pid_started=identity.started,
                devices=["cpu"],
                sandbox="limits",
                started_at=now,
                seen_at=now,
            )
        )


@pytest.fixture
def sweeper(sqlite: Database, sqlite_settings: Settings) -> Sweeper:
    return Sweeper(sqlite, SilentBell(), sqlite_settings)


def test_the_job_of_a_process_that_is_gone_is_given_back_at_once(
    sqlite: Database, sweeper: Sweeper, dead: ProcessIdentity
) -> None:
    claim = running_claim(sqlite, lease_seconds=3600)
    enlist(sqlite, dead)

    assert sweeper.take_from_the_lost() == 1

    assert state_of(sqlite, claim.job_id) == "queued"
    assert read_job(sqlite, claim.job_id).crash_count == 1


def test_the_job_of_a_process_that_lives_is_left_alone(sqlite: Database, sweeper: Sweeper) -> None:
    claim = running_claim(sqlite, lease_seconds=3600)
    enlist(sqlite, this_process())

    assert sweeper.take_from_the_lost() == 0

    assert state_of(sqlite, claim.job_id) == "running"


@pytest.mark.parametrize(
    "elsewhere", [{"boot_id": "another boot"}, {"boot_id": f"{this_process().boot_id.partition('/')[0]}/pid:[1]"}]
)
def test_a_process_that_cannot_be_seen_from_here_is_not_judged(
    sqlite: Database, sweeper: Sweeper, dead: ProcessIdentity, elsewhere: dict[str, str]
) -> None:
    running_claim(sqlite, lease_seconds=3600)
    enlist(sqlite, ProcessIdentity(elsewhere["boot_id"], dead.pid, dead.started))

    assert sweeper.take_from_the_lost() == 0


def test_a_silent_workers_job_is_given_back_when_its_lease_stood_still(
    sqlite: Database, sqlite_settings: Settings
) -> None:
    claim = running_claim(sqlite, lease_seconds=-1)
    sweeper = Sweeper(sqlite, SilentBell(), sqlite_settings.model_copy(update={"lease_seconds": 0.001}))

    assert sweeper.take_from_the_lost() == 0
    assert sweeper.take_from_the_lost() == 1

    assert state_of(sqlite, claim.job_id) == "queued"


def test_a_clock_that_jumps_takes_no_job_from_a_worker_that_beats(sqlite: Database, sqlite_settings: Settings) -> None:
    claim = running_claim(sqlite, lease_seconds=60)
    sweeper = Sweeper(sqlite, SilentBell(), sqlite_settings.model_copy(update={"lease_seconds": 0.001}))
    with sqlite.transaction() as session:  # as if the clock had been put forward by an hour
        session.execute(update(Job).values(lease_expires_at=utc_now(session) - timedelta(hours=1)))
    assert sweeper.take_from_the_lost() == 0

    with sqlite.transaction() as session:
        jobs.beat(session, claim)

    assert sweeper.take_from_the_lost() == 0
    assert state_of(sqlite, claim.job_id) == "running"


def test_a_sweep_rings_what_nobody_rang(sqlite: Database, sweeper: Sweeper) -> None:
    submit_job(sqlite)

    sweeper.sweep()

    with sqlite.transaction() as session:
        assert session.scalars(select(Outbox)).all() == []


def test_old_answers_and_long_dead_workers_are_forgotten(database: Database, settings: Settings) -> None:
    enlist(database, this_process())
    submit_job(database)
    with database.transaction() as session:
        old = utc_now(session) - timedelta(days=2)
        values = {"project_id": PROJECT_ID, "route": "r", "fingerprint": "f", "status": 202, "response": {}}
        session.add(IdempotencyKey(key="old", created_at=old, **values))
        session.add(IdempotencyKey(key="new", created_at=utc_now(session), **values))
        session.execute(update(Worker).values(seen_at=old))

    Sweeper(database, SilentBell(), settings).forget_the_old()

    with database.transaction() as session:
        assert [row.key for row in session.scalars(select(IdempotencyKey))] == ["new"]
        assert session.scalars(select(Worker)).all() == []


def test_a_job_for_a_device_that_nobody_serves_is_given_up_by_name(database: Database, settings: Settings) -> None:
    gpu, cpu = submit_job(database, device="gpu"), submit_job(database)
    enlist(database, this_process())  # serves cpu
    with database.transaction() as session:
        session.execute(update(Job).values(state="queued", queued_at=utc_now(session) - timedelta(hours=1)))

    Sweeper(database, SilentBell(), settings).sweep()
    assert state_of(database, gpu) == "queued", "this process has not looked for long enough"
    sweeper = Sweeper(database, SilentBell(), settings.model_copy(update={"device_wait_seconds": 1e-6}))
    sweeper.sweep()
    sweeper.sweep()

    error = read_job(database, gpu).error
    assert error is not None
    assert (error["code"], "'gpu'" in error["detail"]) == ("device-unavailable", True)
    assert state_of(database, cpu) == "queued"


def test_jobs_that_ended_long_ago_are_forgotten(database: Database, settings: Settings) -> None:
    old, new = submit_job(database), submit_job(database)
    with database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, new)
        long_ago = utc_now(session) - timedelta(days=settings.retention_days + 1)
        session.execute(update(Job).where(Job.id == old).values(state="failed", finished_at=long_ago))

    Sweeper(database, SilentBell(), settings).forget_the_old()

    with database.transaction() as session:
        assert session.scalars(select(Job.id)).all() == [new]


@pytest.mark.parametrize("own", [None, 5])
def test_a_project_may_keep_its_jobs_for_another_time(database: Database, settings: Settings, own: int | None) -> None:
    """Exactly those beyond their project's time go, and the audit log of the organisation says how many."""
    ages = {submit_job(database): days for days in (1, 4, 6, 29, 31)}
    with database.transaction() as session:
        now = utc_now(session)
        session.get_one(Project, PROJECT_ID).max_retention_days = own
        session.get_one(Organization, DEFAULT_ORGANIZATION_ID).max_retention_days = own and 9
        for job_id, days in ages.items():
            ended = {"state": "failed", "finished_at": now - timedelta(days=days)}
            session.execute(update(Job).where(Job.id == job_id).values(ended))

    Sweeper(database, SilentBell(), settings).forget_the_old()

    kept_days = own or settings.retention_days
    with database.transaction() as session:
        assert set(session.scalars(select(Job.id))) == {job_id for job_id, days in ages.items() if days < kept_days}
        (entry,) = session.scalars(select(AuditEntry)).all()
    gone = sum(days > kept_days for days in ages.values())
    assert (entry.actor, entry.project_id) == ("system", PROJECT_ID)
    assert entry.details == {"jobs": gone, "retention_days": kept_days}


def test_each_project_has_one_retention(sqlite: Database) -> None:
    with sqlite.transaction() as session:
        now = utc_now(session)
        session.add(Organization(id="org_strict", name="strict", created_at=now, max_retention_days=3))
        session.flush()
        owned = {"a": ("org_strict", None), "b": ("org_strict", 1), "c": ("org_strict", 9), "d": ("org_default", 9)}
        for name, (owner, days) in {**owned, "e": ("org_default", None)}.items():
            session.add(Project(id=name, organization_id=owner, name=name, created_at=now, max_retention_days=days))
        session.flush()

        covered = [
            (project_id, kept.days)
            for kept in retentions(session, 30)
            for project_id in session.scalars(select(Project.id).where(kept.covers(Project.id)))
        ]

    assert sorted(covered) == [("a", 3), ("b", 1), ("c", 3), ("d", 9), ("e", 30)]
