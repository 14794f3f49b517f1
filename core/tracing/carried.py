"""A trace as rows and log lines carry it: the text of W3C's header `traceparent`. Knows of no collector."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_format: Final = TraceContextTextMapPropagator()


def current_traceparent() -> str | None:
    """Return what names the span that is open here; None where there is none. 55 characters."""
    carrier: dict[str, str] = {}
    _format.inject(carrier)
    return carrier.get("traceparent")


def parent_of(traceparent: str | None) -> Context:
    """Return the context in which spans go on with a row's trace; None, or what is no traceparent: a new one."""
    return _format.extract({"traceparent": traceparent or ""}, Context())


def show_trace(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the id of the trace to a log line that is written inside of one."""
    found = get_current_span().get_span_context()
    if found.is_valid:
        line["trace_id"] = f"{found.trace_id:032x}"
    return line
