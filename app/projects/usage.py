"""What a project has against what it may have; read outside transactions, so that nobody waits for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query

from app.deps import Tenant
from core import limits
from core.db import Record
from core.limits import month_of, seconds_so_far

Month = Annotated[
    str | None, Query(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="Of UTC, as 2026-11; without it, this month.")
]


async def usage_of(tenant: Tenant, month: str | None) -> dict[str, Any]:
    """Return a project's usage as clients see it."""
    now = datetime.now(UTC)
    this_month, wanted = month_of(now), month or month_of(now)
    stored = await tenant.add_up(limits.bytes_statement)
    (waiting,) = await tenant.fetch_all(limits.waiting_statement)
    running = await tenant.fetch_all(limits.running_statement)
    ended = await tenant.fetch_all(limits.compute_statement, month=this_month)
    compute = ended if wanted == this_month else await tenant.fetch_all(limits.compute_statement, month=wanted)
    return {
        "project_id": tenant.project_id,
        "now": {
            "stored_bytes": int(stored["bytes"]),
            "jobs_waiting": waiting["jobs"],
            "jobs_running": len(running),
            "compute_seconds_per_month": round(sum(row["seconds"] for row in ended) + seconds_so_far(running, now), 1),
        },
        "limits": await _limits_in_force(tenant),
        "month": wanted,
        "compute": [row | {"seconds": round(row["seconds"], 1)} for row in compute],
    }


async def _limits_in_force(tenant: Tenant) -> Record:
    """Return the limits, with what the server's settings say where project and organisation say nothing."""
    (found,) = await tenant.fetch_all(limits.limits_statement)
    settings = tenant.services.settings
    found["requests_per_minute"] = tenant.services.pace_of(found["requests_per_minute"])
    found["retention_days"] = found["retention_days"] or settings.retention_days
    return found
