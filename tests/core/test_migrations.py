"""The migrations and the tables in the code are one thing, on both databases, wherever they begin."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DatabaseError

import core
from core import jobs
from core.db import Database, open_database, upgrade
from core.jobs.forecast import DELIVERY_SECONDS, price
from core.settings import Settings
from core.tables import DEFAULT_ORGANIZATION_ID, Examination, FileState, Job, JobLabel, Project, Row, StoredModel
from examples.embedded import plain_environment
from tests.app.running import running_service
from tests.conftest import make_settings
from tests.core import earlier_rows
from tests.core.earlier_rows import MODEL, UPLOAD
from tests.core.samples import PROJECT_ID, submit_job
from tests.servers import PostgresServer

Rows = list[dict[str, Any]]
ROOT = Path(core.__file__).parent.parent


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


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


def migrate(database: Database, revision: str) -> None:
    """Take the tables back to an earlier revision."""
    config = alembic_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


REVISIONS = sorted(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of either database, without a table."""
    secret = {"key_pepper": earlier_rows.PEPPER.decode()}
    if request.param == "sqlite":
        return make_settings(tmp_path, **secret)
    server: PostgresServer = request.getfixturevalue("postgres")
    return make_settings(tmp_path, database_url=server.create_database(), **secret)


@pytest.mark.parametrize("revision", REVISIONS)
def test_what_any_revision_holds_is_there_after_the_upgrade(empty: Settings, revision: str) -> None:
    """Each row is what it was, by the tables of today; and today's code does its work with all of them."""
    database, config = open_database(empty), alembic_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        written = earlier_rows.fill(connection)

    upgrade(empty)

    with database.engine.begin() as connection:
        for name, rows in written.items():
            found = earlier_rows.read(connection, Row.metadata, name)
            assert [{key: now[key] for key in old} for old, now in zip(rows, found, strict=bool(rows))] == rows, name
        assert_priced(written["jobs"], earlier_rows.read(connection, Row.metadata, "jobs"))
    with database.transaction() as session:
        labels = session.scalars(select(JobLabel.job_id).where(JobLabel.value == "vision")).all()
        assert set(labels) == {earlier_rows.WAITING, earlier_rows.ENDED}
        session.execute(delete(Examination))  # a job waits for that of its model
        session.execute(update(StoredModel).values(state=FileState.READY))
        claimed = jobs.claim(session, worker_id="wrk", devices=["cpu"], lease_seconds=60)
        assert claimed is not None
        assert (claimed.job_id, claimed.model_sha256) == (earlier_rows.WAITING, earlier_rows.SHA256)
        jobs.remove(session, earlier_rows.PROJECT, earlier_rows.ENDED)
    database.close()


def assert_priced(before: Rows, after: Rows) -> None:
    """Check that each job that has not ended costs what it would if it were submitted now with its forecast."""
    for old, new in zip(before, after, strict=True):
        unknown = {"limit_seconds": old["recipe"]["budget_seconds"] + DELIVERY_SECONDS}
        expected = (None, None) if old["id"] == earlier_rows.ENDED else price(old.get("forecast") or unknown)
        assert (new["price_seconds"], new["price_late_seconds"]) == expected, old["id"]


def test_alembics_own_command_upgrades_the_database_of_the_settings(tmp_path: Path) -> None:
    """As an operator may call it, beside `python -m app.prepare`."""
    environment = plain_environment() | {"SECATEUR_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]

    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)

    database = open_database(make_settings(tmp_path))
    with database.engine.begin() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == REVISIONS[-1]
    submit_job(database)
    database.close()


def test_the_first_revisions_rows_are_shown_to_the_key_that_made_them(empty: Settings) -> None:
    database, config = open_database(empty), alembic_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, REVISIONS[0])
        earlier_rows.fill(connection)
    database.close()
    upgrade(empty)

    with running_service(empty) as service, service.client(earlier_rows.KEY) as client:
        waiting, ended = (client.get(f"/v1/jobs/{job_id}") for job_id in (earlier_rows.WAITING, earlier_rows.ENDED))
        listed = client.get("/v1/jobs", params={"label": "team=vision"}).json()["jobs"]
        shown = [client.get(f"/v1/{path}").status_code for path in ("usage", f"uploads/{UPLOAD}", f"models/{MODEL}")]

        assert (waiting.json()["state"], waiting.json()["queue_position"]) == ("submitted", 1)
        assert (ended.json()["outcome"], ended.json()["submitted_at"]) == ("target_met", "2026-01-02T03:04:05.678000Z")
        assert {job["id"] for job in listed} == {earlier_rows.WAITING, earlier_rows.ENDED}
        assert shown == [200, 200, 200]
        assert client.post(f"/v1/jobs/{earlier_rows.ENDED}/retry").json()["retry_of"] == earlier_rows.ENDED


def test_the_database_itself_refuses_to_change_an_ended_job(database: Database) -> None:
    job_id = submit_job(database)
    with database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, job_id)

    with pytest.raises(DatabaseError, match="never changes"), database.transaction() as session:
        session.execute(text("UPDATE jobs SET state = 'queued' WHERE id = :id"), {"id": job_id})
