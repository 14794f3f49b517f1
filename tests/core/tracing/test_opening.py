"""Traces are off unless an endpoint is named; a collector that is wrong, missing or silent stops no process."""

from __future__ import annotations

import socket
import sys

import pytest
from opentelemetry.trace import get_current_span

from core.settings import Settings
from core.tracing.opening import NO_TRACING, open_tracing
from tests.collector import collecting


@pytest.mark.parametrize("endpoint", [None, ""])
def test_without_an_endpoint_no_span_is_made(endpoint: str | None) -> None:
    tracing = open_tracing(Settings(otlp_endpoint=endpoint), "web")

    assert tracing is NO_TRACING
    with tracing.tracer.start_as_current_span("work") as span:
        assert not span.is_recording()
        assert not get_current_span().get_span_context().is_valid
    tracing.close()


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "yes"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="SECATEUR_OTLP_ENDPOINT"):
        open_tracing(Settings(otlp_endpoint=endpoint), "web")


def test_an_endpoint_without_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "core.tracing.otlp", None)

    with pytest.raises(RuntimeError, match="tracing"):
        open_tracing(Settings(otlp_endpoint="http://127.0.0.1:1"), "web")


def test_spans_reach_the_collector_at_the_latest_with_the_close() -> None:
    with collecting() as collector:
        tracing = open_tracing(Settings(otlp_endpoint=collector.url + "/"), "sender")
        with tracing.tracer.start_as_current_span("work", attributes={"secateur.job_id": "job_1"}):
            pass
        tracing.close()

    span = collector.one("work")
    assert collector.paths == {"/v1/traces"}
    assert (span.service, span.attributes) == ("secateur-sender", {"secateur.job_id": "job_1"})
    assert 0 < span.began_ns <= span.ended_ns


def test_a_collector_that_never_answers_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.tracing.opening.CLOSE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracing = open_tracing(Settings(otlp_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}"), "web")
        tracing.tracer.start_span("work").end()

        tracing.close()
        silent.settimeout(10)
        connection, _ = silent.accept()  # it did try

    connection.close()
