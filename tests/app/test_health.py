"""Up, ready, and counted."""

from __future__ import annotations

import shutil
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError

from core.db import utc_now
from core.tables import WebhookDelivery, Worker
from tests.app.running import Service, assert_problem

OLDEST_DUE = "secateur_webhook_oldest_due_seconds"


def add_worker(service: Service, sandbox: str = "limits") -> None:
    with service.database.transaction() as session:
        now = utc_now(session)
        session.execute(delete(Worker))
        place = {"host": "here", "boot_id": "b", "pid": 1, "pid_started": "1", "devices": ["cpu"]}
        session.add(Worker(id="wrk_1", sandbox=sandbox, started_at=now, seen_at=now, **place))


def test_a_process_that_answers_is_alive(service: Service) -> None:
    assert httpx2.get(service.url + "/healthz", timeout=30).json() == {"status": "ok"}


def test_ready_means_database_storage_and_a_worker(any_service: Service) -> None:
    before = httpx2.get(any_service.url + "/readyz", timeout=30)
    add_worker(any_service)

    after = httpx2.get(any_service.url + "/readyz", timeout=30)

    problem = assert_problem(before, 503, "not-ready", "workers")
    assert before.headers["Retry-After"]
    assert problem["checks"]["database"]["ok"]
    assert after.status_code == 200
    assert all(check["ok"] for check in after.json()["checks"].values())
    assert "limits" in after.json()["checks"]["workers"]["detail"]


def test_a_worker_without_the_wanted_sandbox_is_not_ready(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.services.settings, "sandbox", "bubblewrap")
    add_worker(service)
    weak = httpx2.get(service.url + "/readyz", timeout=30)
    add_worker(service, "bubblewrap")

    assert_problem(weak, 503, "not-ready", "wrk_1", "sandbox")
    assert httpx2.get(service.url + "/readyz", timeout=30).status_code == 200


def test_a_database_that_does_not_answer_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("select 1", {}, Exception("gone"))

    monkeypatch.setattr(service.database, "fetch_all", broken)

    problem = assert_problem(httpx2.get(service.url + "/readyz", timeout=30), 503, "not-ready", "database")
    assert not problem["checks"]["database"]["ok"]
    assert httpx2.get(service.url + "/healthz", timeout=30).status_code == 200


def test_a_storage_that_does_not_answer_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(service.services.storage, "exists", broken)

    assert_problem(httpx2.get(service.url + "/readyz", timeout=30), 503, "not-ready", "storage")


def test_requests_are_counted_by_route(service: Service) -> None:
    with service.client() as operator:
        operator.get("/v1/jobs/job_0")

        text = operator.get("/metrics").text

    assert 'secateur_http_request_seconds_count{method="GET",route="/v1/jobs/{job_id}",status="404"}' in text
    assert "job_0" not in text


def test_the_disk_is_needed_only_for_files(service: Service, client: httpx2.Client) -> None:
    """Polls go on while the folder of uploads is gone; it is made again for the next file."""
    shutil.rmtree(service.services.part_folder, ignore_errors=True)

    assert client.get("/v1/jobs").status_code == 200
    assert client.put("/v1/files?filename=a", content=b"x").status_code == 201


def test_a_message_that_no_sender_takes_is_told_by_its_age(any_service: Service) -> None:
    def oldest_due_seconds() -> float:
        text = operator.get("/metrics").text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(OLDEST_DUE + " "))

    with any_service.client() as operator:
        before = oldest_due_seconds()
        hook = operator.post("/v1/webhooks", json={"url": "https://example.com/hook"}).json()
        operator.post(f"/v1/webhooks/{hook['id']}/test")
        with any_service.database.transaction() as session:
            session.execute(update(WebhookDelivery).values(next_attempt_at=utc_now(session) - timedelta(hours=1)))

        assert (before, oldest_due_seconds()) == (0.0, pytest.approx(3600, abs=60))
