"""What the web process counts about itself; /metrics prints it."""

from __future__ import annotations

from prometheus_client import Histogram

REQUEST_SECONDS = Histogram(
    "secateur_http_request_seconds",
    "Time from a request's first byte to its response's last, by route and status.",
    ["method", "route", "status"],
    buckets=(0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120),
)
