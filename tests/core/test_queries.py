"""What stands in line is added up along one index, and comes to what the jobs' rows say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text, update

from core import jobs
from core.db import Database, insert_if_absent, utc_now
from core.jobs.forecast import DELIVERY_SECONDS, UNPRICED_SECONDS
from core.jobs.order import AHEAD
from core.queries import (
    LAST_JOB_ID,
    jobs_page_statement,
    own_work_statement,
    running_work_statement,
    waiting_work_statement,
)
from core.tables import Job, Project
from tests.core.samples import MODEL_ID, PROJECT_ID, submit_job

SAMPLE = {"project_id": PROJECT_ID, "device": "cpu", "priority": 0, "job_id": LAST_JOB_ID}


def of_other_projects(database: Database, project_id: str) -> dict[tuple[str, str], tuple[int, float, float]]:
    """Return jobs, middle and late seconds by device and project."""
    with database.transaction() as session:
        rows = waiting_work_statement(project_id=project_id).all(session)
    found = {
        (row["device"], row["project_id"]): (row["jobs"], row["middle_seconds"], row["late_seconds"]) for row in rows
    }
    assert len(found) == len(rows)
    return found


def test_every_project_sees_the_work_of_all_others(database: Database) -> None:
    """Wherever its own id stands among theirs."""
    submit_job(database, recipe={"budget_seconds": 10})
    expected = {("cpu", PROJECT_ID): (1, 10.0, 130.0)}
    with database.transaction() as session:
        for number, project_id in enumerate(("prj_a", "prj_z"), 2):
            insert_if_absent(session, Project, id=project_id, name=project_id, created_at=utc_now(session))
            asked: dict[str, Any] = {"model_id": MODEL_ID, "dataset_id": None, "labels": {}, "project_id": project_id}
            for device in ("cpu", "gpu", "gpu"):
                jobs.submit(session, recipe={"budget_seconds": 10 * number}, device=device, **asked)
            expected["cpu", project_id] = (1, 10.0 * number, 10.0 * number + 120)
            expected["gpu", project_id] = (2, 20.0 * number, 20.0 * number + 240)

    for project_id in ("prj_a", PROJECT_ID, "prj_z", "prj_0", "prj_zz"):
        others = {key: work for key, work in expected.items() if key[1] != project_id}
        assert of_other_projects(database, project_id) == others


def test_a_job_without_a_price_counts_as_one_of_the_usual_budget(database: Database) -> None:
    """As an earlier version's process writes them, wherever a wait is told from them."""
    ahead, job_id = submit_job(database), submit_job(database)
    with database.transaction() as session:
        session.execute(update(Job).values(price_seconds=None, price_late_seconds=None))
        session.execute(update(Job).where(Job.id == ahead).values(priority=1))
        own = own_work_statement(**SAMPLE | {"job_id": job_id}).all(session)
        page = jobs_page_statement(project_id=PROJECT_ID, limit=2).all(session)
        theirs = waiting_work_statement(project_id="prj_a").all(session)
        session.execute(update(Job).where(Job.id == ahead).values(state="running"))
        running = running_work_statement().all(session)

    unpriced = (UNPRICED_SECONDS, UNPRICED_SECONDS + DELIVERY_SECONDS)
    (listed,) = [row for row in page if row["id"] == job_id]
    for row in (own[0], listed):
        assert tuple(row[name] for name in AHEAD) == (1, *unpriced)
    assert (theirs[0]["jobs"], theirs[0]["middle_seconds"], theirs[0]["late_seconds"]) == (
        2,
        *(2 * price for price in unpriced),
    )
    assert (running[0]["middle_seconds"], running[0]["late_seconds"]) == (unpriced[0] / 2, unpriced[1])


def test_work_in_line_is_added_up_along_ranges_of_its_index(sqlite: Database) -> None:
    for query, columns in ((waiting_work_statement, 3), (own_work_statement, 4)):
        plain = query.select.params({name: SAMPLE[name] for name in query.select.compile().params if name in SAMPLE})
        words = plain.compile(sqlite.engine, compile_kwargs={"literal_binds": True})

        with sqlite.transaction() as session:
            steps = [str(row.detail) for row in session.execute(text(f"EXPLAIN QUERY PLAN {words}"))]

        of_jobs = [step for step in steps if step.split()[1] == "jobs"]
        assert len(of_jobs) == 2, steps
        for step in of_jobs:
            assert "COVERING INDEX jobs_to_claim" in step, steps
            assert step.count("?") >= columns, steps
