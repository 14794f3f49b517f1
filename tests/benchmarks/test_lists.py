"""The rows that lists are timed on are as many as is told, and such as the service itself could have written."""

from __future__ import annotations

from sqlalchemy import func, select

from benchmarks.lists.filling import fill
from core.db import Database, open_database
from core.jobs.forecast import price
from core.keys import ensure_admin_key
from core.settings import Settings
from core.tables import Event, Job, JobLabel


def test_the_rows_fit_the_tables_of_today(postgres_settings: Settings) -> None:
    database: Database = open_database(postgres_settings)
    ensure_admin_key(database, postgres_settings)

    found = fill(database.engine, jobs=5_200, longest=300)
    again = fill(database.engine, jobs=5_200, longest=300)

    with database.transaction() as session:
        by_state = select(Job.state, func.count()).group_by(Job.state)
        counted = dict(session.execute(by_state).all())
        told = session.scalar(select(func.count()).select_from(Event))
        told_of = select(func.count()).where(Event.job_id == Job.id).scalar_subquery()
        forecast, *priced = session.execute(
            select(Job.forecast, Job.price_seconds, Job.price_late_seconds).where(Job.state == "queued")
        ).first() or ({},)
        unpriced = session.scalar(select(func.count()).where(Job.price_seconds.is_(None)))
        gaps = session.scalar(select(func.count()).where(Job.last_seq != told_of))
        labels = session.scalar(select(func.count()).select_from(JobLabel))
    database.close()
    assert found == again
    assert (found.jobs, found.projects, found.events) == (5_200, 40, told)
    assert (counted["queued"] + counted["submitted"], counted["running"], counted["paused"]) == (5_000, 30, 20)
    assert (unpriced, tuple(priced)) == (0, price(forecast or {}))
    assert (gaps, labels) == (0, 2 * 5_200)
