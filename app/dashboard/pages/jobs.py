"""The list of jobs of every project, newest first, by state or by a name."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from app.dashboard import queries
from app.dashboard.job_view import JOB_ID
from app.dashboard.render import HEADERS, STATE_WORDS
from app.dashboard.visit import Visit

PAGE_SIZE = 50


async def show(visit: Visit) -> Response:
    """Show one page of the list; a whole id goes straight to its job."""
    state, search, before = visit.query("state"), visit.query("search"), visit.query("before")
    if JOB_ID.fullmatch(search):
        return RedirectResponse(f"/admin/jobs/{search}", 303, headers=HEADERS)
    state = state if state in STATE_WORDS else ""
    page = queries.jobs_page(state=state or None, search=search, before=before or None, limit=PAGE_SIZE + 1)
    rows = await visit.database.fetch_all(page)
    shown = rows[:PAGE_SIZE]
    filters = {name: value for name, value in (("state", state), ("search", search)) if value}
    return visit.page(
        "jobs.html",
        jobs=shown,
        state=state,
        search=search,
        is_first=not before,
        first_page=_address(filters),
        next_page=_address(filters | {"before": shown[-1]["id"]}) if len(rows) > PAGE_SIZE else None,
    )


def _address(query: dict[str, str]) -> str:
    return "/admin/jobs" + ("?" + urlencode(query) if query else "")
