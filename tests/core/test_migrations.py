"""The migrations and the tables in the code are one thing, on both databases."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

import core
from core import jobs
from core.db import Database, open_database, upgrade
from core.settings import Settings
from core.tables import DEFAULT_ORGANIZATION_ID, FileState, Job, JobLabel, Project, Row, StoredModel
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


def test_what_an_earlier_schema_holds_is_taken_over(settings: Settings, database: Database) -> None:
    """Back to the schema before organisations, labels and examinations, and forth again."""
    waiting, ended = (submit_job(database, labels={"team": "vision"}) for _ in range(2))
    with database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, ended)
    migrate(database, "0002")
    upgrade(settings)

    with database.transaction() as session:
        labels = session.scalars(select(JobLabel).order_by(JobLabel.job_id)).all()
        job = session.get_one(Job, waiting)
        assert [(label.job_id, label.value) for label in labels] == [(waiting, "vision"), (ended, "vision")]
        assert (job.priority, job.pause_requested, job.stages) == (0, False, None)
        assert session.get_one(Project, PROJECT_ID).organization_id == DEFAULT_ORGANIZATION_ID
        assert session.get_one(StoredModel, job.model_id).state == FileState.READY
    with database.transaction() as session:
        claim = jobs.claim(session, worker_id="wrk", devices=["cpu"], lease_seconds=60)
    assert claim is not None
    assert claim.job_id == waiting


def migrate(database: Database, revision: str) -> None:
    """Take the tables back to an earlier revision."""
    config = Config()
    config.set_main_option("script_location", str(Path(core.__file__).parent.parent / "migrations"))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_the_database_itself_refuses_to_change_an_ended_job(database: Database) -> None:
    job_id = submit_job(database)
    with database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, job_id)

    with pytest.raises(DatabaseError, match="never changes"), database.transaction() as session:
        session.execute(text("UPDATE jobs SET state = 'queued' WHERE id = :id"), {"id": job_id})
