"""The first page: what waits and runs, who works, how the last day went."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from app.dashboard import queries
from app.dashboard.charts import hour_bars
from app.dashboard.visit import Visit
from core.db import Record
from core.jobs import TERMINAL

HOURS = 24
JOBS_CHARTED = 1000
HOUR_MS = 3_600_000

# How a state counts in the chart; what is not named is still open.
KINDS = {"succeeded": "succeeded", "failed": "failed", "rejected": "failed", "cancelled": "cancelled"}
KINDS["expired"] = "cancelled"


async def show(visit: Visit) -> Response:
    """Show the overview."""
    now = datetime.now(UTC)
    counted = await visit.database.fetch_all(queries.open_jobs_counted())
    recent = await visit.database.fetch_all(queries.ends_since(now - timedelta(hours=HOURS), JOBS_CHARTED))
    workers = await visit.database.fetch_all(queries.workers())
    late_seconds = visit.services.settings.lease_seconds
    return visit.page(
        "overview.html",
        queue=_queue(counted),
        workers=[worker | {"is_alive": _is_alive(worker, now, late_seconds)} for worker in workers],
        ends=Counter(_end(row) for row in recent),
        chart=hour_bars(_by_hour(recent, now)),
        is_capped=len(recent) == JOBS_CHARTED,
        hours=HOURS,
    )


def _is_alive(worker: Record, now: datetime, late_seconds: float) -> bool:
    return bool((now - worker["seen_at"]).total_seconds() < late_seconds)


def _queue(counted: list[Record]) -> dict[str, Any]:
    """Lay the counts out as rows of states and columns of devices."""
    devices = sorted({row["device"] for row in counted}) or ["cpu"]
    jobs = {(row["state"], row["device"]): row["jobs"] for row in counted}
    rows = [(state, [jobs.get((state, device), 0) for device in devices]) for state in queries.OPEN_STATES]
    return {"devices": devices, "rows": [(str(state), counts) for state, counts in rows], "total": sum(jobs.values())}


def _end(row: Record) -> str:
    """Name how a job ended: by its outcome where it has one, else by its state."""
    if row["state"] not in TERMINAL:
        return "open"
    return str(row["outcome"] or row["state"])


def _by_hour(recent: list[Record], now: datetime) -> list[dict[str, int]]:
    """Count jobs in each of the last hours, oldest first; a job's hour is in its id."""
    kinds = ("succeeded", "failed", "cancelled", "open")
    hours = [dict.fromkeys(kinds, 0) for _ in range(HOURS)]
    now_ms = now.timestamp() * 1000
    for row in recent:
        hours_ago = int((now_ms - queries.submitted_ms(row["id"])) // HOUR_MS)
        if 0 <= hours_ago < HOURS:
            hours[HOURS - 1 - hours_ago][KINDS.get(row["state"], "open")] += 1
    return hours
