"""A job's change of state and what webhooks are told of it are one transaction."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core import jobs
from core.db import Database, open_database, utc_now
from core.problems import job_problem
from core.settings import Settings
from core.tables import Event, Job, JobState, Project, WebhookDelivery
from core.webhooks import deliveries
from core.webhooks.outbox import announce
from core.webhooks.words import EVENT_OF_STATE, EVENTS, WebhookEvent
from tests.core.samples import PROJECT_ID, read_job, running_claim, submit_job
from tests.core.webhooks.samples import add_webhook, deliveries_of


def told(database: Database, webhook_id: str | None = None) -> list[dict[str, Any]]:
    return [json.loads(row.payload) for row in deliveries_of(database, webhook_id)]


def test_every_state_that_a_client_waits_for_has_an_event() -> None:
    assert {*EVENT_OF_STATE} == {JobState.QUEUED, JobState.RUNNING, *jobs.TERMINAL}
    assert {*EVENT_OF_STATE.values(), WebhookEvent.WEBHOOK_DISABLED} == {*WebhookEvent} == {*EVENTS}


def test_a_jobs_life_is_told_in_ids_state_and_times(database: Database) -> None:
    webhook_id = add_webhook(database)
    claim = running_claim(database)
    with database.transaction() as session:
        jobs.finish(session, claim, outcome="target_met", report={}, delivered=[])

    messages = told(database, webhook_id)

    job = read_job(database, claim.job_id)
    assert [message["type"] for message in messages] == ["job.queued", "job.running", "job.succeeded"]
    last = messages[-1]["data"]
    assert last == {
        "job_id": job.id,
        "project_id": PROJECT_ID,
        "model_id": job.model_id,
        "state": "succeeded",
        "outcome": "target_met",
        "error_code": None,
        "attempt": job.attempt,
        "version": job.version,
        "seq": job.last_seq,
        **{name: last[name] for name in ("submitted_at", "queued_at", "running_at", "finished_at")},
    }
    assert last["finished_at"] == messages[-1]["timestamp"]
    assert all(last[name].endswith("Z") for name in ("submitted_at", "queued_at", "running_at", "finished_at"))


def test_a_failure_is_told_with_its_code_and_without_its_words(database: Database) -> None:
    add_webhook(database, events=["job.failed"])
    claim = running_claim(database)

    with database.transaction() as session:
        jobs.fail(session, claim, job_problem("out-of-memory", "layer canary-17 of the customer"))

    message = told(database)[0]
    assert message["data"]["error_code"] == "out-of-memory"
    assert "canary-17" not in json.dumps(message)


def test_only_what_was_asked_for_is_written_and_only_for_active_webhooks_of_the_project(database: Database) -> None:
    every, one, off = add_webhook(database), add_webhook(database, events=["job.cancelled"]), add_webhook(database)
    with database.transaction() as session:
        session.add(Project(id="prj_other", name="other", created_at=utc_now(session)))
        deliveries.disable(session, off, "gone", utc_now(session))
    other = add_webhook(database, project_id="prj_other")
    claim = running_claim(database)

    with database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, claim.job_id)
        jobs.cancelled(session, claim)

    assert [row.type for row in deliveries_of(database, one)] == ["job.cancelled"]
    assert [row.type for row in deliveries_of(database, every)][-3:] == ["job.queued", "job.running", "job.cancelled"]
    assert deliveries_of(database, off) == deliveries_of(database, other) == []


def test_webhooks_that_are_told_the_same_get_the_same_message(database: Database) -> None:
    first, second = add_webhook(database), add_webhook(database)
    running_claim(database)

    pairs = zip(deliveries_of(database, first), deliveries_of(database, second), strict=True)

    assert all(a.message_id == b.message_id and a.payload == b.payload for a, b in pairs)
    assert len({row.message_id for row in deliveries_of(database, first)}) == 2


def test_what_is_rolled_back_is_told_to_nobody_and_what_cannot_be_told_does_not_happen(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_webhook(database)
    claim = running_claim(database)
    before = len(deliveries_of(database))

    def finish_and_crash(session: Session) -> None:
        jobs.finish(session, claim, outcome="target_met", report={}, delivered=[])
        session.flush()
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power"):
        database.do(finish_and_crash)
    assert read_job(database, claim.job_id).state == "running"
    assert len(deliveries_of(database)) == before

    def broken(*arguments: Any) -> None:
        announce(*arguments)
        raise RuntimeError("no pen")

    monkeypatch.setattr("core.jobs.record.announce", broken)
    with pytest.raises(RuntimeError, match="pen"), database.transaction() as session:
        jobs.finish(session, claim, outcome="target_met", report={}, delivered=[])
    assert read_job(database, claim.job_id).state == "running"
    assert len(deliveries_of(database)) == before


def test_whoever_sees_an_ended_job_finds_the_message_written(settings: Settings, database: Database) -> None:
    """Read from another connection, all the time: never one without the other."""
    add_webhook(database, events=["job.cancelled"])
    job_ids = [submit_job(database) for _ in range(8)]
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def look() -> None:
        ended = select(func.count()).where(Job.state == "cancelled").scalar_subquery()
        written = select(func.count()).select_from(WebhookDelivery).scalar_subquery()
        other = open_database(settings)
        while not done.is_set():
            with other.engine.connect() as connection:
                seen.append(tuple(connection.execute(select(ended, written)).one()))
        other.close()

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        for job_id in job_ids:
            with database.transaction() as session:
                jobs.request_cancel(session, PROJECT_ID, job_id)
        done.set()
        looking.result()

    assert len(deliveries_of(database)) == 8
    assert [pair for pair in seen if pair[0] != pair[1]] == []


def test_a_project_without_webhooks_pays_no_row_and_events_are_written_as_before(database: Database) -> None:
    claim = running_claim(database)

    with database.transaction() as session:
        types = session.scalars(select(Event.type).where(Event.job_id == claim.job_id)).all()
    assert list(types) == ["job.state"] * 4
    assert deliveries_of(database) == []


def test_a_webhook_that_is_deleted_meanwhile_does_not_break_a_job(postgres_settings: Settings) -> None:
    """PostgreSQL lets both begin: the deletion waits for the job's transaction, and finds its message."""
    database = open_database(postgres_settings)
    webhook_id = add_webhook(database)
    claim = running_claim(database)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            jobs.finish(session, claim, outcome="target_met", report={}, delivered=[])
            deleting = pool.submit(database.do, lambda other: deliveries.remove(other, PROJECT_ID, webhook_id))
            while not session.scalar(text("select count(*) from pg_locks where not granted")):
                assert not deleting.done()
        deleting.result(30)

    assert read_job(database, claim.job_id).state == "succeeded"
    assert deliveries_of(database) == []
    database.close()
