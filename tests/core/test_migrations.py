"""The migrations and the tables in the code are one thing, on both databases."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from core import jobs
from core.db import Database, open_database, upgrade
from core.tables import Row
from tests.conftest import make_settings
from tests.core.samples import PROJECT_ID, submit_job


def test_the_migrations_make_the_tables_that_the_code_describes(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": Row.metadata})

        differences = compare_metadata(context, Row.metadata)

    assert differences == []


def test_processes_that_start_at_once_upgrade_once(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    failures: list[BaseException] = []

    def start() -> None:
        try:
            upgrade(settings)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    database = open_database(settings)
    submit_job(database)
    database.close()
    assert failures == []


def test_the_database_itself_refuses_to_change_an_ended_job(database: Database) -> None:
    job_id = submit_job(database)
    with database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, job_id)

    with pytest.raises(DatabaseError, match="never changes"), database.transaction() as session:
        session.execute(text("UPDATE jobs SET state = 'queued' WHERE id = :id"), {"id": job_id})
