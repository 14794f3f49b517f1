"""What the rows say of the whole service, read when somebody asks: jobs, queues, webhooks, workers, bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import ColumnElement, case, func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from core.db import Database, Query, Record
from core.metrics import table
from core.metrics.words import Metric
from core.queries import webhook_oldest_due_statement, workers_statement
from core.settings import Settings
from core.tables import Blob, Examination, Job, Outbox, Upload, WebhookDelivery

BYTES_SECONDS: Final = 60.0
"""So long the sums of bytes are shown again: to add up all blobs takes longer than to count what waits."""

Found = dict[Metric, list[tuple[tuple[str, ...], float]]]
"""Of each gauge, its series: label values and number."""


def _since() -> ColumnElement[Any]:
    """Return since when a job is in its state; one that was given back to be inspected, since it was submitted."""
    return case(*((Job.state == state, getattr(Job, f"{state}_at")) for state in table.LIVING))


_jobs_statement: Final = Query(
    select(Job.state, Job.device, func.count().label("rows"), func.min(_since()).label("since"))
    .where(Job.state.in_(table.LIVING))
    .group_by(Job.state, Job.device)
)
_examinations_statement: Final = Query(
    select(
        Examination.kind, Examination.state, func.count().label("rows"), func.min(Examination.created_at).label("since")
    )
    .where(Examination.state.in_(("waiting", "running")))
    .group_by(Examination.kind, Examination.state)
)
_bells_statement: Final = Query(select(func.count().label("rows"), func.min(Outbox.created_at).label("since")))
_messages_statement: Final = Query(
    select(func.count().label("rows")).where(WebhookDelivery.state == literal("pending"))
)
_blobs_statement: Final = Query(select(func.coalesce(func.sum(Blob.size_bytes), 0).label("bytes")))
_unfinished_statement: Final = Query(
    select(func.coalesce(func.sum(Upload.offset_bytes), 0).label("bytes")).where(
        Upload.completed_at.is_(None), Upload.error.is_(None)
    )
)


class RowsPage(Collector):
    """The gauges of one database, as text. May be asked from any thread; who asks waits for whoever asked before."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._bytes: Found = {}
        self._bytes_until = 0.0
        self._one_reader = threading.Lock()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Read what is older than it may be, and print it; of a database that is away, only that it is."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()  # a registry that asks for less reads nothing

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for metric, series in self._found().items():
            family = GaugeMetricFamily(metric.name, metric.told, labels=metric.labels)
            for labels, value in series:
                family.add_metric(labels, value)
            yield family

    def _found(self) -> Found:
        try:
            with self._one_reader:
                counts = _counts(self._database, self._settings)
                if time.monotonic() >= self._bytes_until:
                    self._bytes = _bytes(self._database)
                    self._bytes_until = time.monotonic() + BYTES_SECONDS
                return {table.DATABASE_UP: [((), 1.0)], **counts, **self._bytes}
        except (SQLAlchemyError, OSError):
            return {table.DATABASE_UP: [((), 0.0)]}


def _counts(database: Database, settings: Settings) -> Found:
    now = datetime.now(UTC)
    [bells], [messages] = database.read_all(_bells_statement()), database.read_all(_messages_statement())
    [due] = database.read_all(webhook_oldest_due_statement(now=now))
    alive = [row for row in database.read_all(workers_statement()) if row["seen_at"] > now - _two_leases(settings)]
    return {
        **_groups(database.read_all(_jobs_statement()), table.JOBS, table.JOBS_OLDEST_SECONDS, now),
        **_groups(
            database.read_all(_examinations_statement()), table.EXAMINATIONS, table.EXAMINATIONS_OLDEST_SECONDS, now
        ),
        table.BELLS: [((), bells["rows"])],
        table.BELLS_OLDEST_SECONDS: [((), _age_seconds(bells["since"], now))],
        table.MESSAGES_PENDING: [((), messages["rows"])],
        table.OLDEST_DUE_SECONDS: [((), _age_seconds(due["due_at"], now))],
        table.WORKERS: [((device,), sum(device in row["devices"] for row in alive)) for device in table.DEVICES],
    }


def _groups(rows: Iterable[Record], number: Metric, oldest_seconds: Metric, now: datetime) -> Found:
    """Return how many there are of each known group, 0 for none, and how long the oldest has been there."""
    found = {tuple(str(row[label]) for label in number.labels): row for row in rows}
    groups = dict.fromkeys((*number.known, *found))
    return {
        number: [(group, found[group]["rows"] if group in found else 0) for group in groups],
        oldest_seconds: [
            (group, _age_seconds(found[group]["since"], now) if group in found else 0) for group in groups
        ],
    }


def _bytes(database: Database) -> Found:
    [blobs], [unfinished] = database.read_all(_blobs_statement()), database.read_all(_unfinished_statement())
    return {
        table.STORED_BYTES: [((), float(blobs["bytes"]))],
        table.UNFINISHED_BYTES: [((), float(unfinished["bytes"]))],
    }


def _age_seconds(since: datetime | None, now: datetime) -> float:
    """Return how long ago something was, by this machine's clock; 0 where there is nothing."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _two_leases(settings: Settings) -> timedelta:
    return timedelta(seconds=2 * settings.lease_seconds)
