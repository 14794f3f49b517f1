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
from core.settings import Settings
from core.sweep import Sweeper
from core.tables import IdempotencyKey, Job, Outbox, Worker
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
