"""The counters and histograms of this process: `count` and `observe` a line of the table. Nothing else counts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from prometheus_client import Counter, Histogram
from sqlalchemy.orm import Session

from core.db import after_commit
from core.metrics.table import METRICS
from core.metrics.words import OTHER, Metric


def count(metric: Metric, *labels: str, by: float = 1) -> None:
    """Add to a counter."""
    _series(metric.name, labels).inc(by)


def observe(metric: Metric, value: float, *labels: str) -> None:
    """Put a value, not below 0, into a histogram."""
    _series(metric.name, labels).observe(max(0.0, value))


def count_once_written(session: Session, metric: Metric, *labels: str) -> None:
    """Count what a transaction does, when it is written: one that is rolled back and tried again counts once."""
    after_commit(session, lambda: count(metric, *labels))


def _made(metric: Metric) -> Counter | Histogram:
    if metric.kind == "counter":
        return Counter(metric.name, metric.told, metric.labels)
    return Histogram(metric.name, metric.told, metric.labels, buckets=metric.buckets)


_MADE: Final = {metric.name: _made(metric) for metric in METRICS if metric.kind != "gauge"}
_KNOWN: Final = {metric.name: frozenset(metric.known) for metric in METRICS}


@lru_cache(maxsize=4096)
def _series(name: str, labels: tuple[str, ...]) -> Any:
    if not labels:
        return _MADE[name]
    known = _KNOWN[name]
    return _MADE[name].labels(*(labels if not known or labels in known else [OTHER] * len(labels)))


for _metric in METRICS:
    for _labels in _metric.known if _metric.name in _MADE else ():
        _series(_metric.name, _labels)
