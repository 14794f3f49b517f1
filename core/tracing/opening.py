"""Where a process's spans go: to the collector of the settings, or nowhere, at no cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.trace import NoOpTracerProvider, Tracer, TracerProvider

from core.settings import Settings

CLOSE_SECONDS: Final = 3.0
"""A collector that does not answer holds up no process that stops for longer."""


@dataclass(frozen=True)
class Tracing:
    """What makes spans, and what sends the last of them off."""

    provider: TracerProvider
    is_on: bool = False
    send_off: Callable[[], object] = bool

    @cached_property
    def tracer(self) -> Tracer:
        return self.provider.get_tracer("secateur")

    def close(self) -> None:
        """Send what is left, as far as that goes within CLOSE_SECONDS; no span is kept after it."""
        if self.is_on:
            sending = threading.Thread(target=self.send_off, name="last spans", daemon=True)
            sending.start()
            sending.join(CLOSE_SECONDS)


NO_TRACING: Final = Tracing(NoOpTracerProvider())


def open_tracing(settings: Settings, process: str) -> Tracing:
    """Return what traces the `process` (web, worker, sender). Raises ValueError for an endpoint that is none.

    Raises RuntimeError where there is an endpoint but not the library that speaks to it.
    """
    endpoint = settings.otlp_endpoint
    if not endpoint:
        return NO_TRACING
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("SECATEUR_OTLP_ENDPOINT is no http or https URL. Give the collector's: http://collector:4318.")
    try:
        from core.tracing.otlp import open_provider  # noqa: PLC0415  # an extra, which most installations do without
    except ModuleNotFoundError as error:
        message = "SECATEUR_OTLP_ENDPOINT asks for traces, and OpenTelemetry is not installed: secateur[tracing]."
        raise RuntimeError(message) from error
    provider = open_provider(endpoint, process)
    return Tracing(provider, is_on=True, send_off=provider.shutdown)
