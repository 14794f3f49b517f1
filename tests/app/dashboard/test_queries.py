"""No page's query walks or sorts the table of jobs, however long it has grown."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.dashboard import queries
from app.dashboard.queries import first_job_id_at, submitted_ms
from app.services import Services
from core.ids import new_id
from tests.app.dashboard.samples import add_model, submit_job

YESTERDAY = datetime(2026, 1, 1, tzinfo=UTC)
STATEMENTS = {
    "open jobs": queries.open_jobs_counted(),
    "ends": queries.ends_since(YESTERDAY, 2000),
    "workers": queries.workers(),
    "job": queries.job("job_1"),
    "version": queries.version("job_1"),
    "first page": queries.jobs_page(state=None, search="", before=None, limit=51),
    "later page": queries.jobs_page(state=None, search="", before="job_1", limit=51),
    "of projects": queries.open_jobs_by_project(["prj_1", "prj_2"]),
    "by state": queries.jobs_page(state="failed", search="", before="job_1", limit=51),
    "by id": queries.jobs_page(state=None, search="job_0", before=None, limit=51),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_query_walks_the_jobs(services: Services, name: str) -> None:
    compiled = STATEMENTS[name].compile(services.database.engine, compile_kwargs={"literal_binds": True})

    with services.database.transaction() as session:
        steps = [str(row.detail) for row in session.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))]

    of_jobs = [step for step in steps if step.split()[1] == "jobs"]
    assert of_jobs
    assert all(step.startswith("SEARCH") or " USING INDEX sqlite_autoindex_jobs_1" in step for step in of_jobs), steps
    assert name == "workers" or not any("FOR ORDER BY" in step for step in steps), steps


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    job_id = new_id("job")
    after = datetime.now(UTC) + timedelta(milliseconds=1)

    assert first_job_id_at(before) <= job_id < first_job_id_at(after)
    assert before.timestamp() <= submitted_ms(job_id) / 1000 <= after.timestamp()


async def _ends(services: Services, since: datetime) -> list[str]:
    return [row["id"] for row in await services.database.fetch_all(queries.ends_since(since, 10))]


def test_the_last_hours_leave_older_jobs_out(services: Services) -> None:
    model_id = add_model(services.database)
    submitted = [submit_job(services.database, model_id) for _ in range(3)]
    now = datetime.now(UTC)

    recent = asyncio.run(_ends(services, now - timedelta(hours=1)))
    future = asyncio.run(_ends(services, now + timedelta(seconds=1)))

    assert recent == sorted(submitted, reverse=True)
    assert future == []
