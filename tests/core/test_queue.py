"""The bell: rung after the commit, kept while the broker is away, and never needed."""

from __future__ import annotations

import json
import socket

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import select

from core.db import Database
from core.queue import BellBroken, SilentBell, celery_app, dispatch, open_bell
from core.settings import Settings
from core.tables import Outbox
from tests.core.samples import submit_job
from tests.servers import free_port


class Recorder:
    def __init__(self, working: int = 100) -> None:
        self.rung: list[tuple[str, str]] = []
        self._working = working

    def ring(self, job_id: str, device: str) -> None:
        if len(self.rung) >= self._working:
            raise BellBroken("as a test wanted it")
        self.rung.append((job_id, device))


def waiting(database: Database) -> int:
    with database.transaction() as session:
        return len(session.scalars(select(Outbox)).all())


def test_each_bell_is_rung_once_and_for_its_device(database: Database) -> None:
    jobs = [(submit_job(database), "cpu"), (submit_job(database, device="gpu"), "gpu")]
    bell = Recorder()

    assert dispatch(database, bell) == 2
    assert dispatch(database, bell) == 0

    assert bell.rung == jobs


def test_a_bell_that_fails_waits_for_the_next_sweep(database: Database) -> None:
    for _ in range(3):
        submit_job(database)

    assert dispatch(database, Recorder(working=1)) == 1
    assert waiting(database) == 2

    assert dispatch(database, Recorder()) == 2


def test_without_a_broker_the_outbox_is_emptied_in_silence(sqlite: Database, sqlite_settings: Settings) -> None:
    submit_job(sqlite)
    bell = open_bell(sqlite_settings)

    dispatch(sqlite, bell)

    assert isinstance(bell, SilentBell)
    assert waiting(sqlite) == 0


def with_broker(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"broker_url": SecretStr(url)})


def test_a_ring_is_a_message_with_nothing_but_the_jobs_id(sqlite_settings: Settings, broker_url: str) -> None:
    open_bell(with_broker(sqlite_settings, broker_url)).ring("job_1", "gpu")

    with redis.Redis.from_url(broker_url) as client:
        (message,) = client.lrange("gpu", 0, -1)
        client.delete("gpu")
    assert "job_1" in json.loads(message)["headers"]["argsrepr"]
    assert json.loads(message)["content-type"] == "application/json"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.queue.SOCKET_TIMEOUT_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_is_not_there_is_a_broken_bell(sqlite_settings: Settings) -> None:
    bell = open_bell(with_broker(sqlite_settings, f"redis://127.0.0.1:{free_port()}/0"))

    with pytest.raises(BellBroken):
        bell.ring("job_1", "cpu")


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_does_not_answer_costs_seconds_not_hours(sqlite_settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        bell = open_bell(with_broker(sqlite_settings, f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"))

        with pytest.raises(BellBroken):
            bell.ring("job_1", "cpu")


def test_celery_is_told_to_believe_in_nothing(sqlite_settings: Settings) -> None:
    conf = celery_app(sqlite_settings).conf

    assert conf.result_backend is None
    assert conf.task_ignore_result
    assert not conf.task_acks_late
    assert conf.accept_content == ["json"]
    assert conf.broker_transport_options["socket_timeout"] <= 5
