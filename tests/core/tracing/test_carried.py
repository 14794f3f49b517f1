"""A trace goes through a row as text, and what is no trace begins a new one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import get_current_span

from core.logging import configure_logging
from core.settings import Settings
from core.tracing.carried import current_traceparent, parent_of

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NO_TRACEPARENTS = (
    None,
    "",
    "x",
    f"00-{TRACE_ID}-{SPAN_ID}",
    f"00-{TRACE_ID}-{SPAN_ID}-01-more",
    f"ff-{TRACE_ID}-{SPAN_ID}-01",
    f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
    f"00-{'0' * 32}-{SPAN_ID}-01",
    f"00-{TRACE_ID}-{'0' * 16}-01",
    f"00-{TRACE_ID[1:]}-{SPAN_ID}-01",
)
"""W3C Trace Context, section 3.2: wrong lengths, letters, versions, and ids of zeros."""

tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def test_what_comes_out_of_a_row_goes_on_with_the_trace_that_went_in() -> None:
    with tracer.start_as_current_span("a request") as before:
        carried = current_traceparent()

    assert carried is not None
    assert len(carried) == 55
    with tracer.start_as_current_span("its work", parent_of(carried)) as after:
        assert after.get_span_context().trace_id == before.get_span_context().trace_id
        assert after.parent is not None  # type: ignore[attr-defined]  # the SDK's spans know their parent
        assert after.parent.span_id == before.get_span_context().span_id  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", NO_TRACEPARENTS)
def test_what_is_no_traceparent_begins_a_trace(text: str | None) -> None:
    with tracer.start_as_current_span("its work", parent_of(text)) as span:
        assert span.parent is None  # type: ignore[attr-defined]
        assert f"{span.get_span_context().trace_id:032x}" != TRACE_ID


def test_a_row_without_a_trace_is_no_part_of_the_one_that_is_open() -> None:
    with tracer.start_as_current_span("another's"), tracer.start_as_current_span("its work", parent_of(None)) as span:
        assert span.parent is None  # type: ignore[attr-defined]


def test_outside_of_a_trace_there_is_nothing_to_carry() -> None:
    assert not get_current_span().get_span_context().is_valid
    assert current_traceparent() is None


@pytest.mark.usefixtures("_restored")
def test_a_line_names_its_trace_where_traces_are_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", otlp_endpoint="http://127.0.0.1:1"))

    with tracer.start_as_current_span("its work", parent_of(f"00-{TRACE_ID}-{SPAN_ID}-01")):
        structlog.get_logger().info("inside", job_id="job_1")
        logging.getLogger("library").warning("inside, too")
    structlog.get_logger().info("outside")

    inside, library, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (inside["trace_id"], inside["job_id"]) == (TRACE_ID, "job_1")
    assert library["trace_id"] == TRACE_ID
    assert "trace_id" not in outside
