"""The projects of all organisations: what waits, runs and was computed this month, against what each may have."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from app.dashboard import queries
from app.dashboard.visit import Visit
from core.db import Record
from core.limits import RUNNING, WAITING, month_of

PAGE_SIZE = 50


async def show(visit: Visit) -> Response:
    """Show one page of the list, newest first."""
    before = visit.query("before")
    rows = await visit.database.fetch_all(queries.projects(before=before or None, limit=PAGE_SIZE + 1))
    shown = rows[:PAGE_SIZE]
    ids = [row["id"] for row in shown]
    counted = await visit.database.fetch_all(queries.open_jobs_by_project(ids))
    month = month_of(datetime.now(UTC))
    computed = await visit.database.fetch_all(queries.compute_by_project(ids, month))
    return visit.page(
        "projects.html",
        projects=_with_usage(shown, counted, computed),
        month=month,
        is_first=not before,
        next_page=f"/admin/projects?before={shown[-1]['id']}" if len(rows) > PAGE_SIZE else None,
    )


def _with_usage(projects: list[Record], counted: list[Record], computed: list[Record]) -> list[dict[str, Any]]:
    waiting, running = Counter[str](), Counter[str]()
    for row in counted:
        waiting[row["project_id"]] += row["jobs"] * (row["state"] in WAITING)
        running[row["project_id"]] += row["jobs"] * (row["state"] in RUNNING)
    seconds = {row["project_id"]: row["seconds"] for row in computed}
    return [
        row | {"waiting": waiting[row["id"]], "running": running[row["id"]], "seconds": seconds.get(row["id"], 0.0)}
        for row in projects
    ]
