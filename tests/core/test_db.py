"""One way to write and one to read, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from datetime import UTC, datetime, timedelta
from sqlite3 import OperationalError, ProgrammingError

import pytest
from pydantic import SecretStr
from sqlalchemy import bindparam, func, insert, literal, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import OperationalError as SqlalchemyOperationalError

from core.db import Change, Database, Query, database_url, utc_now
from core.queries import events_statement, job_statement, jobs_page_statement
from core.settings import Settings
from core.tables import Event, Job
from tests.core.samples import PROJECT_ID, read_job, running_claim, submit_job


def test_the_quick_read_sees_what_a_transaction_reads(database: Database) -> None:
    job_id = running_claim(database).job_id
    row = read_job(database, job_id)
    statement = job_statement(project_id=PROJECT_ID, job_id=job_id)

    async def read() -> list[object]:
        found = [await database.fetch_one(statement), (await database.fetch_all(statement))[0]]
        await database.aclose()
        return found

    for record in [*asyncio.run(read()), *database.read_all(statement)]:
        assert isinstance(record, dict)
        assert record == {
            **{key: getattr(row, key) for key in record if key != "queue_position"},
            "queue_position": None,
        }
        assert record["submitted_at"].tzinfo is UTC


def test_a_query_is_compiled_once_and_read_with_new_values(database: Database) -> None:
    first, second = submit_job(database), submit_job(database)

    for job_id in (first, second, first):
        (row,) = database.read_all(job_statement(project_id=PROJECT_ID, job_id=job_id))
        assert row["id"] == job_id
    assert len(database.read_all(jobs_page_statement(project_id=PROJECT_ID, limit=1))) == 1
    assert len(database.read_all(jobs_page_statement(project_id=PROJECT_ID, limit=5))) == 2
    assert len(database.read_all(events_statement(project_id=PROJECT_ID, job_id=first, after=1))) == 0


def test_the_event_loop_goes_on_while_much_is_added_up(database: Database) -> None:
    numbers = select(literal(1).label("number")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < bindparam("most")))
    total = Query(select(func.sum(numbers.c.number).label("total")))
    turns = 0

    async def add_up() -> dict[str, object]:
        nonlocal turns
        asked = asyncio.ensure_future(database.add_up(total(most=200_000)))
        while not asked.done():
            turns += 1
            await asyncio.sleep(0.001)
        await database.aclose()
        return asked.result()

    found = asyncio.run(add_up())

    assert int(str(found["total"])) == 200_000 * 200_001 // 2
    assert turns > 3


def test_a_bare_select_can_be_read_too(database: Database) -> None:
    job_id = submit_job(database)
    table = Job.__table__.columns
    statement = select(table.id, table.labels).where(table.id.in_([job_id, "job_other"]))

    async def read() -> object:
        found = await database.fetch_one(statement), await database.fetch_one(statement.where(table.id == "none"))
        await database.aclose()
        return found

    assert asyncio.run(read()) == ({"id": job_id, "labels": {}}, None)


def test_a_change_writes_what_the_orm_would(database: Database) -> None:
    """Every kind of column there and back: text, numbers, moments, JSON, and nothing."""
    job_id, moment = submit_job(database), datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    told = {"event": "é", "of": [1, 2.5, None]}
    add, move = (
        Change(insert(Event)),
        Change(update(Job).where(Job.id == bindparam("of")).values(stage=bindparam("new"))),
    )

    with database.transaction() as session:
        session.add(Event(job_id=job_id, seq=2, at=moment, type="job.log", data=told))
        add(session, job_id=job_id, seq=3, at=moment, type="job.log", data=told)
        move(session, of=job_id, new="score")

    with database.transaction() as session:
        by_orm, by_driver = (session.get_one(Event, (job_id, seq)) for seq in (2, 3))
        assert (
            (by_driver.at, by_driver.type, by_driver.data)
            == (by_orm.at, by_orm.type, by_orm.data)
            == (
                moment,
                "job.log",
                told,
            )
        )
    assert read_job(database, job_id).stage == "score"


def test_a_change_that_cannot_be_is_refused_in_the_same_words(database: Database) -> None:
    add = Change(insert(Event))

    with pytest.raises(IntegrityError), database.transaction() as session:
        add(session, job_id="job_none", seq=1, at=datetime.now(UTC), type="job.log", data={})


def test_a_change_asks_for_what_only_the_orm_would_fill_in(sqlite: Database) -> None:
    with pytest.raises(ValueError, match=r"Give .*version"), sqlite.transaction() as session:
        Change(insert(Job))(session, id="job_x")


def test_a_query_inside_a_transaction_sees_what_the_session_holds(database: Database) -> None:
    job_id = submit_job(database)

    with database.transaction() as session:
        session.get_one(Job, job_id).stage = "score"
        row = job_statement(project_id=PROJECT_ID, job_id=job_id).one(session)

    assert row is not None
    assert row["stage"] == "score"


def test_what_fails_half_way_leaves_nothing(database: Database) -> None:
    job_id = submit_job(database)

    def fall() -> None:
        with database.transaction() as session:
            session.execute(update(Job).values(device="gpu"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fall()

    assert read_job(database, job_id).device == "cpu"


def test_many_threads_may_write_at_once(database: Database) -> None:
    job_id = submit_job(database)

    def work() -> None:
        for _ in range(10):
            with database.transaction() as session:
                job = session.get_one(Job, job_id, with_for_update=True)
                job.version += 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert read_job(database, job_id).version == 51


def test_a_write_from_the_event_loop_returns_what_the_work_returns(database: Database) -> None:
    submit_job(database)

    moment = asyncio.run(database.write(utc_now))

    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_reading_connection_cannot_write(sqlite: Database) -> None:
    submit_job(sqlite)

    with pytest.raises(OperationalError, match="readonly"):
        sqlite._reader.rows("DELETE FROM jobs", [])


def test_a_read_that_fails_says_so_as_every_other_way_to_the_database_does(sqlite: Database) -> None:
    submit_job(sqlite)
    statement = job_statement(project_id=PROJECT_ID, job_id="job_x")
    with sqlite.transaction() as session:
        session.execute(text("ALTER TABLE jobs RENAME TO moved"))

    with pytest.raises(SqlalchemyOperationalError, match="no such table"):
        sqlite.read_all(statement)


def test_closing_waits_for_the_reads_of_other_threads(sqlite: Database) -> None:
    """At shutdown a thread may still be reading: closing its connection under it would crash the whole process."""
    statement = jobs_page_statement(project_id=PROJECT_ID, limit=50)
    expected = [submit_job(sqlite) for _ in range(20)]
    over, seen = threading.Event(), list[int]()

    def read() -> None:
        while not over.is_set():
            with contextlib.suppress(ProgrammingError):  # closed before the read began
                seen.append(len(sqlite.read_all(statement)))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        sqlite.close()
    over.set()
    for thread in threads:
        thread.join()

    assert set(seen) == {len(expected)}


def test_sqlite_keeps_what_it_acknowledged(sqlite: Database) -> None:
    with sqlite.transaction() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_row_that_points_nowhere_is_refused(database: Database) -> None:
    submit_job(database)

    with pytest.raises(DBAPIError), database.transaction() as session:
        session.execute(update(Job).values(model_id="mod_absent"))


@pytest.mark.parametrize("given", ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"])
def test_every_way_to_write_postgres_means_psycopg(given: str) -> None:
    assert database_url(Settings(database_url=SecretStr(given))).drivername == "postgresql+psycopg"
