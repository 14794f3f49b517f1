"""What the web process counts about itself, and one figure of the senders; /metrics prints it."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import Gauge, Histogram

KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

_REQUEST_SECONDS = Histogram(
    "secateur_http_request_seconds",
    "Time from a request's first byte to its response's last, by route and status.",
    ["method", "route", "status"],
    buckets=(0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120),
)


_OLDEST_DUE_SECONDS = Gauge(
    "secateur_webhook_oldest_due_seconds",
    "How long the webhook message that is due longest has waited; it grows where no sender runs, or too few.",
)


def show_oldest_due(seconds: float) -> None:
    """Show for how long a message has been due; NaN: not known."""
    _OLDEST_DUE_SECONDS.set(seconds)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one exchange."""
    _histogram(method if method in KNOWN_METHODS else "other", route, status).observe(seconds)


@lru_cache(maxsize=1024)
def _histogram(method: str, route: str, status: int) -> Histogram:
    return _REQUEST_SECONDS.labels(method, route, str(status))
