"""Whole worker processes, killed and stopped, with and without a bell: no job is lost, none is done twice."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from core.db import Database, database_url, open_database
from core.queue import SilentBell, dispatch, open_bell
from core.settings import Settings
from core.storage import open_storage
from core.tables import Attempt, Worker
from tests.core.samples import read_job
from tests.servers import running
from tests.worker.conftest import is_over, submit, until

HOUSE = Path(__file__).resolve().parent.parent.parent


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment that makes another process read the same settings."""
    values = settings.model_dump(exclude_none=True)
    texts = {
        f"SECATEUR_{name.upper()}": str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name, value in values.items()
    }
    return {**texts, "PYTHONPATH": str(HOUSE), "SECATEUR_WORKER_DEVICES": '["cpu"]'}


@contextmanager
def working(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker process that polls."""
    command = [sys.executable, "-m", "tests.worker.start_worker"]
    with running(command, port=None, environment=environment_of(settings)) as process:
        yield process


@contextmanager
def celery_working(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Celery worker for the queue `cpu`."""
    command = [sys.executable, "-m", "celery", "-A", "tests.worker.celery_worker", "worker", "-Q", "cpu"]
    with running(command, port=None, environment=environment_of(settings)) as process:
        yield process


def another_machine(settings: Settings) -> Settings:
    """The same database, store and scratch, but other slots: a frozen process keeps its machine's slot."""
    folder = settings.data_dir / "another machine"
    folder.mkdir()
    (settings.data_dir / "scratch").mkdir()
    (folder / "scratch").symlink_to(settings.data_dir / "scratch")
    shared = {
        "database_url": SecretStr(database_url(settings).render_as_string(hide_password=False)),
        "storage_url": f"file://{settings.data_dir}/blobs",
    }
    return settings.model_copy(update={"data_dir": folder, **shared})


def submit_to(settings: Settings, database: Database, **behaviour: str) -> str:
    return submit(database, open_storage(settings), settings.data_dir, **behaviour)


def test_a_polling_worker_needs_no_bell(settings: Settings, database: Database) -> None:
    with working(settings):
        made = [submit_to(settings, database) for _ in range(3)]
        dispatch(database, SilentBell())  # every bell is lost

        until(lambda: all(is_over(database, job_id) for job_id in made))

    assert {read_job(database, job_id).state for job_id in made} == {"succeeded"}


def test_a_worker_killed_in_the_middle_is_noticed_and_another_finishes(settings: Settings, database: Database) -> None:
    patient = settings.model_copy(update={"lease_seconds": 60.0})  # only the missing process can give it away
    job_id = submit_to(settings, database, compress="sleep_once")
    with working(patient) as first:
        until(lambda: read_job(database, job_id).fraction > 0)
        children = descendants(first.pid)

        first.send_signal(signal.SIGKILL)
        first.wait()
        until(lambda: not any(is_alive(pid) for pid in children))

    with working(settings):
        until(lambda: is_over(database, job_id))

    job = read_job(database, job_id)
    assert (job.state, job.crash_count, job.attempt) == ("succeeded", 1, 3)
    assert endings(database, job_id) == ["validated", "lost", "finished"]


def test_a_frozen_worker_that_wakes_up_late_changes_nothing(settings: Settings, database: Database) -> None:
    job_id = submit_to(settings, database, compress="sleep_once")
    with working(settings), working(another_machine(settings)):
        until(lambda: read_job(database, job_id).fraction > 0)
        frozen = pids_of(database)[str(read_job(database, job_id).lease_owner)]
        freeze(frozen, database)
        until(lambda: is_over(database, job_id))
        before = read_job(database, job_id)

        os.kill(frozen, signal.SIGCONT)
        until(lambda: descendants(frozen) == [])  # it has learnt of its loss, and stopped its child
    after = read_job(database, job_id)
    assert (after.state, after.version, after.attempt) == ("succeeded", before.version, before.attempt)
    assert endings(database, job_id) == ["validated", "lost", "finished"]


def test_a_worker_that_is_told_to_stop_gives_its_job_back_and_leaves(settings: Settings, database: Database) -> None:
    job_id = submit_to(settings, database, compress="sleep_once")
    with working(settings) as process:
        until(lambda: read_job(database, job_id).fraction > 0)

        process.terminate()
        assert process.wait(30) == 0

    job = read_job(database, job_id)
    assert (job.state, job.interrupt_count, job.crash_count) == ("queued", 1, 0)
    assert pids_of(database) == {}


def test_a_worker_that_is_told_to_stop_begins_nothing_and_lets_its_job_end(
    sqlite_settings: Settings, sqlite: Database
) -> None:
    patient = sqlite_settings.model_copy(update={"worker_drain_seconds": 600.0})
    ending = submit_to(patient, sqlite, compress="linger")
    with working(patient) as process:
        until(lambda: read_job(sqlite, ending).fraction > 0)

        process.terminate()
        until(lambda: devices_of(sqlite) == [[]])
        waiting = submit_to(patient, sqlite)
        (patient.data_dir / "scratch" / ending / "checkpoint" / "go").touch()
        assert process.wait(30) == 0

    assert read_job(sqlite, ending).state == "succeeded"
    assert (read_job(sqlite, waiting).state, read_job(sqlite, waiting).attempt) == ("submitted", 0)
    assert pids_of(sqlite) == {}


def test_a_celery_worker_that_is_told_twice_waits_for_nobody(scale_out: Settings) -> None:
    patient = scale_out.model_copy(update={"worker_drain_seconds": 600.0, "stop_grace_seconds": 600.0})
    database = open_database(patient)
    job_id = submit_to(patient, database, compress="ignore_term")
    with celery_working(patient) as process:
        until(lambda: read_job(database, job_id).fraction > 0)

        process.terminate()
        until(lambda: devices_of(database) == [[]])
        process.terminate()
        assert process.wait(30) == 0

    job = read_job(database, job_id)
    assert (job.state, job.interrupt_count, job.crash_count) == ("queued", 1, 0)
    database.close()


@pytest.fixture
def scale_out(postgres_settings: Settings, broker_url: str) -> Settings:
    """PostgreSQL and a real broker; the worker polls so seldom that only a bell can wake it in time."""
    # a database of its own: the workers of other tests listen on the first one, and would take the message
    own = broker_url.rsplit("/", 1)[0] + "/1"
    return postgres_settings.model_copy(update={"broker_url": SecretStr(own), "poll_seconds": 600.0})


def test_a_bell_wakes_a_celery_worker(scale_out: Settings) -> None:
    database = open_database(scale_out)
    with celery_working(scale_out) as process:
        until(lambda: pids_of(database) != {})
        job_id = submit_to(scale_out, database)

        def ring_and_look() -> bool:
            dispatch(database, open_bell(scale_out))
            return is_over(database, job_id)

        until(ring_and_look)
        process.terminate()
        assert process.wait(30) == 0
    assert read_job(database, job_id).state == "succeeded"
    assert pids_of(database) == {}
    database.close()


def test_a_celery_worker_does_its_work_without_a_broker(postgres_settings: Settings) -> None:
    deaf = postgres_settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")})
    database = open_database(deaf)
    job_id = submit_to(deaf, database)
    with celery_working(deaf):
        until(lambda: is_over(database, job_id))
    assert read_job(database, job_id).state == "succeeded"
    database.close()


def freeze(pid: int, database: Database) -> None:
    """Stop a process between two transactions: who sleeps with a lock in his hand makes all others wait for him."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        until(lambda: all(is_stopped(thread) for thread in Path(f"/proc/{pid}/task").iterdir()))
        if not is_a_transaction_open(database):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.02)


def is_a_transaction_open(database: Database) -> bool:
    """Whether anybody else writes just now."""
    if not database.is_sqlite:
        others = "datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
        with database.transaction() as session:
            return bool(session.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {others}")))
    with closing(sqlite3.connect(str(database.url.database), timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def endings(database: Database, job_id: str) -> list[str | None]:
    with database.transaction() as session:
        return list(session.scalars(select(Attempt.ending).where(Attempt.job_id == job_id).order_by(Attempt.attempt)))


def pids_of(database: Database) -> dict[str, int]:
    with database.transaction() as session:
        return {worker.id: worker.pid for worker in session.scalars(select(Worker))}


def devices_of(database: Database) -> list[list[str]]:
    """Return what each worker says that it serves."""
    with database.transaction() as session:
        return list(session.scalars(select(Worker.devices)))


def descendants(pid: int) -> list[int]:
    """Return the processes below one; a thread or a process that ends while it is looked at has none."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in map(int, (thread / "children").read_text().split()):
                    found += [child, *descendants(child)]
    return found


def is_alive(pid: int) -> bool:
    try:
        return state_of(Path(f"/proc/{pid}")) != "Z"
    except OSError:
        return False


def is_stopped(thread: Path) -> bool:
    try:
        return state_of(thread) == "T"
    except OSError:  # it ended meanwhile
        return False


def state_of(process: Path) -> str:
    """Return the letter by which the kernel calls what a process or thread does: R, S, T, Z."""
    return (process / "stat").read_text().rpartition(")")[2].split()[0]
