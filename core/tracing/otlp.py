"""Spans to a collector by OTLP over HTTP: the only file that needs OpenTelemetry's SDK. Loaded where traces are on."""

from __future__ import annotations

import os
import socket
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SEND_SECONDS: Final = 5.0
"""For one batch, tries and all; the spans of a batch that does not get through are lost, and no job waits."""


def open_provider(endpoint: str, process: str) -> TracerProvider:
    """Return what makes spans and sends them to `endpoint`/v1/traces, in batches and from a thread of its own.

    Headers, certificates and sampling are OpenTelemetry's own environment variables.
    """
    name = {
        "service.namespace": "secateur",
        "service.name": f"secateur-{process}",
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    provider = TracerProvider(resource=Resource.create(name), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=SEND_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
