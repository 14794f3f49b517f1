"""What a sender tells of its tries: a span in the trace of what the message tells of, and the time of each answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from opentelemetry.util.types import AttributeValue

from core.metrics.counting import observe
from core.metrics.table import TRY_SECONDS
from core.tracing.carried import current_traceparent, parent_of
from core.tracing.opening import Tracing
from core.webhooks.words import Answer, Errand


@contextmanager
def errand_told(tracing: Tracing, errand: Errand) -> Iterator[None]:
    """Tell of the try that the block is. Of the address only the host: its path may be a secret of the receiver's."""
    named: dict[str, AttributeValue] = {
        "secateur.webhook_id": errand.webhook_id,
        "secateur.delivery_id": errand.delivery_id,
        "secateur.message_id": errand.message_id,
        "secateur.attempt": errand.attempt,
        "http.request.method": "POST",
        "server.address": urlsplit(errand.url).hostname or "",
    }
    parent = parent_of(errand.traceparent)
    with tracing.tracer.start_as_current_span(
        "webhook.deliver", parent, SpanKind.CLIENT, named, record_exception=False, set_status_on_exception=False
    ):
        yield


def trace_headers() -> dict[str, str]:
    """Return what tells a receiver which trace the message belongs to; nothing where there is none."""
    traceparent = current_traceparent()
    return {} if traceparent is None else {"traceparent": traceparent}


def tell_answer(answer: Answer | None, seconds: float) -> None:
    """Tell what came back, and after how long; None: the sender stopped before it came."""
    span = get_current_span()
    if answer is None:
        span.set_attribute("secateur.ending", "given_back")
        return
    result = "taken" if answer.is_welcome else "unanswered" if answer.status is None else "refused"
    observe(TRY_SECONDS, seconds, result)
    span.set_attribute("secateur.ending", result)
    if answer.status is not None:
        span.set_attribute("http.response.status_code", answer.status)
    if not answer.is_welcome:
        span.set_status(StatusCode.ERROR, answer.error or "")
