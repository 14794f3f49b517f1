"""One trace from a client's request through the queue to each stage of the engine and the message that tells of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from core.logging import configure_logging
from core.settings import Settings
from core.tables import Job
from core.tracing.opening import open_tracing
from sender.sending import Sender
from tests.app.running import Service, put_file, running_service
from tests.collector import Collector, Told, collecting
from tests.sender.receiver import Receiver, receiving
from tests.worker.conftest import fake_engine, is_over, until
from worker.examine import examine_next
from worker.run_job import run_next
from worker.slots import Slot
from worker.workplace import Workplace

TRACE_ID, CLIENT_SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ASKED_WITH = {"traceparent": f"00-{TRACE_ID}-{CLIENT_SPAN_ID}-01"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def traced(settings: Settings, collector: Collector) -> Settings:
    changes = {"otlp_endpoint": collector.url, "webhook_private_networks": ["127.0.0.0/8", "::1/128"]}
    return Settings.model_validate({**settings.model_dump(), **changes})


def make_job(client: httpx2.Client, headers: dict[str, str], **behaviour: str) -> dict[str, Any]:
    """Submit a job on a "model" that tells the fake engine how to behave."""
    upload = put_file(client, json.dumps(behaviour).encode())
    model = client.post("/v1/models", json={"upload_id": upload["id"]}).json()
    response = client.post("/v1/jobs", json={"model_id": model["id"]}, headers=headers)
    assert response.status_code == 202, response.text
    return dict(response.json())


def work(settings: Settings, job_id: str, folder: Path) -> None:
    """Do what a worker process does until the job has ended."""
    place, slot = Workplace.open(settings, fake_engine()), Slot("cpu", None, folder / "slot")

    def work_a_bit() -> bool:
        busy = examine_next(place, ("model",)) or run_next(place) or run_next(place, slot=slot)
        return not busy and is_over(place.database, job_id)

    until(work_a_bit)
    place.close()


def send(service: Service) -> None:
    tracing = open_tracing(service.services.settings, "sender")
    asyncio.run(
        Sender(service.database, service.services.settings, service.services.pepper, tracing=tracing).send_due()
    )
    tracing.close()


def whole_way(settings: Settings, receiver: Receiver, folder: Path, headers: dict[str, str], **behaviour: str) -> str:
    """Ask for a job, work on it and tell the receiver; return its id. All spans have arrived then."""
    with running_service(settings) as service, service.client() as client:
        client.post("/v1/webhooks", json={"url": receiver.url})
        job_id = str(make_job(client, headers, **behaviour)["id"])
        work(settings, job_id, folder)
        send(service)
        client.get(f"/v1/jobs/{job_id}")
        client.get("/healthz")
    return job_id


def test_a_job_is_one_trace_from_the_request_to_the_last_message(
    sqlite_settings: Settings, collector: Collector, tmp_path: Path
) -> None:
    with receiving() as receiver:
        job_id = whole_way(traced(sqlite_settings, collector), receiver, tmp_path, ASKED_WITH)

    trace = [span for span in collector.spans if span.trace_id == TRACE_ID]
    [asked] = [span for span in trace if span.parent_id == CLIENT_SPAN_ID]
    assert (asked.service, asked.name, asked.kind) == ("secateur-web", "POST /v1/jobs", "SERVER")
    assert asked.attributes["secateur.request_id"].startswith("req_")
    assert_is_a_tree(trace, asked)
    assert {span.service for span in trace} == {"secateur-web", "secateur-worker", "secateur-sender"}
    inspecting, running = [span for span in trace if span.name == "job.attempt"]
    assert [inspecting.attributes["secateur.state"], running.attributes["secateur.state"]] == ["validating", "running"]
    assert {inspecting.attributes["secateur.job_id"], running.attributes["secateur.job_id"]} == {job_id}
    assert [inspecting.attributes["secateur.ending"], running.attributes["secateur.ending"]] == ["validated", "finish"]
    assert len([span for span in trace if span.name == "job.wait" and span.parent_id == asked.span_id]) == 2
    [compressing] = [span for span in trace if span.name == "engine compress"]
    assert compressing.parent_id == running.span_id
    stages = [span for span in trace if span.parent_id == compressing.span_id]
    assert [stage.name for stage in stages] == ["stage score", "stage recover"]
    assert stages[0].ended_ns == stages[1].began_ns
    assert not any(span.is_error for span in trace)


def assert_is_a_tree(trace: list[Told], root: Told) -> None:
    """Every span but the root hangs from another; what is done by one process lies within its parent's time."""
    by_id = {span.span_id: span for span in trace}
    for span in trace:
        parent = by_id.get(span.parent_id)
        assert (parent is None) == (span is root), span
        if parent is not None and parent.service == span.service:
            assert parent.began_ns <= span.began_ns <= span.ended_ns <= parent.ended_ns, span


def test_receivers_are_told_the_trace_of_each_message(
    sqlite_settings: Settings, collector: Collector, tmp_path: Path
) -> None:
    with receiving() as receiver:
        whole_way(traced(sqlite_settings, collector), receiver, tmp_path, ASKED_WITH)

    tries = collector.named("webhook.deliver")
    assert len(tries) == 3  # queued, running, succeeded
    assert {span.trace_id for span in tries} == {TRACE_ID}
    assert {request.headers["traceparent"] for request in receiver.received} == {span.traceparent for span in tries}
    assert {span.attributes["http.response.status_code"] for span in tries} == {200}
    assert "/hook" not in str([span.attributes for span in tries])  # the path of an address may be a secret


def test_what_is_asked_without_a_trace_begins_one_and_health_is_in_none(
    sqlite_settings: Settings, collector: Collector, tmp_path: Path
) -> None:
    with receiving() as receiver:
        whole_way(traced(sqlite_settings, collector), receiver, tmp_path, {})

    asked = collector.one("POST /v1/jobs")
    assert asked.parent_id == ""
    assert {span.trace_id for span in collector.named("job.attempt")} == {asked.trace_id}
    assert collector.one("examination.attempt").trace_id == collector.one("POST /v1/models").trace_id != asked.trace_id
    assert collector.one("GET /v1/jobs/{job_id}").trace_id != asked.trace_id
    assert [span for span in collector.spans if "health" in span.name] == []


def test_the_line_of_a_request_names_its_trace(
    sqlite_settings: Settings, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = traced(sqlite_settings, collector).model_copy(update={"log_format": "json"})
    with logging_of_production(settings), running_service(settings) as service, service.client() as client:
        client.post("/v1/jobs", content=b"{", headers=ASKED_WITH)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [line] = [line for line in lines if line.get("path") == "/v1/jobs"]
    assert (line["trace_id"], line["status"]) == (TRACE_ID, 422)
    assert line["request_id"] == collector.one("POST /v1/jobs").attributes["secateur.request_id"]


@contextmanager
def logging_of_production(settings: Settings) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    configure_logging(settings)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**before)


def test_a_child_that_falls_is_an_error_of_its_trace(
    sqlite_settings: Settings, collector: Collector, tmp_path: Path
) -> None:
    settings = traced(sqlite_settings, collector).model_copy(update={"crash_limit": 1})
    with receiving() as receiver:
        whole_way(settings, receiver, tmp_path, ASKED_WITH, compress="segfault")

    fallen = collector.one("engine compress")
    [attempt] = [span for span in collector.named("job.attempt") if span.attributes["secateur.state"] == "running"]
    assert (fallen.is_error, fallen.attributes["secateur.ending"]) == (True, "crashed")
    assert (attempt.is_error, attempt.attributes["secateur.ending"]) == (True, "crashed")


def test_without_an_endpoint_nothing_is_sent_whatever_the_environment_says(
    sqlite_settings: Settings, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI and OpenTelemetry know variables of their own, which are not ours to follow."""
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    settings = traced(sqlite_settings, collector).model_copy(update={"otlp_endpoint": None})
    with receiving() as receiver:
        job_id = whole_way(settings, receiver, tmp_path, ASKED_WITH)

    place = Workplace.open(settings, fake_engine())
    with place.database.transaction() as session:
        assert session.get_one(Job, job_id).traceparent is None
    place.close()
    assert collector.spans == []
    assert [request for request in receiver.received if "traceparent" in request.headers] == []
