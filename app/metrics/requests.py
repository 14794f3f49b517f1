"""What the web process counts about its requests; /metrics and the admin port print it."""

from __future__ import annotations

from core.metrics.counting import observe
from core.metrics.table import REQUEST_SECONDS

KNOWN_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one exchange."""
    observe(REQUEST_SECONDS, seconds, method if method in KNOWN_METHODS else "other", route, str(status))
