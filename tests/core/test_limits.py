"""What a project may have is counted exactly: by two at once, and when what was counted is gone."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core import jobs
from core.db import Database, insert_if_absent, utc_now
from core.jobs import Delivered
from core.limits import QuotaExceeded, bytes_left, limits_of, stricter
from core.tables import (
    DEFAULT_ORGANIZATION_ID,
    Attempt,
    Blob,
    ComputeUsage,
    Dataset,
    Job,
    Organization,
    Project,
    StoredModel,
    Upload,
)
from tests.core.samples import LIMITS, PROJECT_ID, add_model, running_claim, submit_job

MODEL_BYTES = 4
"""Of the network that every job here is about."""


def limit(database: Database, **limits: int | None) -> None:
    with database.transaction() as session:
        add_model(session)
        session.execute(update(Project).where(Project.id == PROJECT_ID).values(limits))


@pytest.mark.parametrize(
    ("own", "above", "found"), [(None, None, None), (3, None, 3), (None, 2, 2), (3, 2, 2), (0, 5, 0)]
)
def test_the_stricter_limit_holds(database: Database, own: int | None, above: int | None, found: int | None) -> None:
    limit(database, max_jobs_running=own)
    with database.transaction() as session:
        session.get_one(Organization, DEFAULT_ORGANIZATION_ID).max_jobs_running = above
        session.flush()

        assert limits_of(session, PROJECT_ID)["jobs_running"] == found
    assert stricter(own, above) == found


def test_those_who_submit_at_once_are_counted_one_by_one(database: Database) -> None:
    limit(database, max_jobs_waiting=3)
    refused: list[QuotaExceeded] = []

    def submit() -> None:
        try:
            submit_job(database)
        except QuotaExceeded as refusal:
            refused.append(refusal)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 5
    assert {(one.name, one.limit) for one in refused} == {("jobs_waiting", 3)}
    with database.transaction() as session:
        assert len(session.scalars(select(Job)).all()) == 3


def test_a_paused_job_waits_again_only_where_there_is_room(sqlite: Database) -> None:
    limit(sqlite, max_jobs_waiting=1)
    paused = submit_job(sqlite)
    with sqlite.transaction() as session:
        jobs.request_pause(session, PROJECT_ID, paused)
    other = submit_job(sqlite)

    with pytest.raises(QuotaExceeded, match="1 jobs of the project wait"), sqlite.transaction() as session:
        jobs.resume(session, PROJECT_ID, paused)
    with sqlite.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, other)
        session.flush()
        assert jobs.resume(session, PROJECT_ID, paused).state == "submitted"


def test_the_same_bytes_count_once_whoever_names_them(database: Database) -> None:
    """What a job delivered and what is on its way count as well; an upload that failed does not."""
    limit(database, max_stored_bytes=1000)
    claim = running_claim(database)
    with database.transaction() as session:
        now = utc_now(session)
        shared: dict[str, Any] = {"project_id": PROJECT_ID, "created_at": now}
        session.add(Dataset(id="dat_1", name="d", sha256="0" * 64, size_bytes=4, **shared))
        upload: dict[str, Any] = {"filename": "f", "expires_at": now, **shared}
        session.add(Upload(id="upl_1", size_bytes=4, offset_bytes=4, sha256="0" * 64, **upload))
        session.add(Upload(id="upl_2", size_bytes=100, offset_bytes=7, **upload))
        session.add(Upload(id="upl_3", size_bytes=500, offset_bytes=7, error={"code": "x"}, **upload))
        jobs.finish(
            session, claim, outcome="no_gain", report={}, delivered=[Delivered("m", "model", "x", "b" * 64, 30)]
        )
        insert_if_absent(session, Blob, sha256="c" * 64, size_bytes=999, created_at=now)

    with database.transaction() as session:
        assert bytes_left(session, PROJECT_ID) == 1000 - 4 - 100 - 30


@pytest.mark.parametrize("seed", range(5))
def test_the_same_bytes_count_once_however_often_and_wherever_they_lie(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    files = {f"{number:064x}": 10**number for number in range(1, 9)}
    limit(database, max_stored_bytes=10**12)
    mine = running_claim(database)
    brought = {table: chance.choices([*files], k=4) for table in (StoredModel, Dataset, Upload)}
    made = chance.choices([*files], k=4)

    with database.transaction() as session:
        now = utc_now(session)
        for sha256, size_bytes in files.items():
            insert_if_absent(session, Blob, sha256=sha256, size_bytes=size_bytes, created_at=now)
        given: dict[str, Any] = {"project_id": PROJECT_ID, "created_at": now}
        done: dict[str, Any] = {"filename": "f", "offset_bytes": 0, "expires_at": now, "completed_at": now}
        for table, shas in brought.items():
            own = done if table is Upload else {"name": "f"}
            for number, sha256 in enumerate(shas):
                session.add(table(id=f"{number}", sha256=sha256, size_bytes=files[sha256], **given, **own))
        delivered = [Delivered(f"{n}", "model", "x", sha256, files[sha256]) for n, sha256 in enumerate(made)]
        jobs.finish(session, mine, outcome="no_gain", report={}, delivered=delivered)

    kept = {*made, *(sha256 for shas in brought.values() for sha256 in shas)}
    with database.transaction() as session:
        assert bytes_left(session, PROJECT_ID) == 10**12 - MODEL_BYTES - sum(files[sha256] for sha256 in kept)


def test_compute_time_stays_counted_when_the_job_is_forgotten(database: Database) -> None:
    limit(database, max_compute_seconds_per_month=50)
    claim = running_claim(database)
    with database.transaction() as session:
        began = utc_now(session) - timedelta(seconds=60)
        session.execute(update(Job).values(running_at=began))
        session.execute(update(Attempt).where(Attempt.attempt == claim.attempt).values(started_at=began))
        jobs.crashed(session, claim, LIMITS, detail="fell")
    with database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, claim.job_id)
        jobs.remove(session, PROJECT_ID, claim.job_id)

    with database.transaction() as session:
        counted = session.scalars(select(ComputeUsage)).one()
    assert (counted.device, counted.attempts) == ("cpu", 1), "the inspection is free"
    assert counted.seconds == pytest.approx(60, abs=10)
    with pytest.raises(QuotaExceeded, match="in a month"):
        submit_job(database)
