"""Writes that share a commit: each is all there or not at all, whatever becomes of those beside it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.db import Database, after_commit, utc_now
from core.shared_commits import SharedCommits
from core.tables import Project

MANY = 40
SPOKEN: contextvars.ContextVar[str] = contextvars.ContextVar("spoken")

Work = Callable[[Session], Any]


def adding(number: int) -> Work:
    def add(session: Session) -> int:
        session.add(Project(id=f"prj_{number}", name="made", created_at=utc_now(session)))
        return number

    return add


def refused(number: int) -> Work:
    """Add a row, and then find that it must not be."""

    def add(session: Session) -> None:
        adding(number)(session)
        session.flush()
        raise LookupError(number)

    return add


def broken(session: Session) -> None:
    """Do what SQLAlchemy ends a whole transaction for: flush a row that cannot be."""
    session.add(Project(id="prj_-1", name="twin", created_at=utc_now(session)))
    session.flush()


def write_all(database: Database, *works: Work) -> list[Any]:
    """Write all at once; return what each came to, an error as itself."""

    async def write() -> list[Any]:
        try:
            async with asyncio.timeout(60):
                return await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)
        finally:
            await database.aclose()

    return asyncio.run(write())


def projects(database: Database) -> set[str]:
    with database.transaction() as session:
        return set(session.scalars(select(Project.id).where(Project.name == "made")))


def test_each_is_written_and_told_its_own_answer(database: Database) -> None:
    found = write_all(database, *map(adding, range(MANY)))

    assert found == list(range(MANY))
    assert projects(database) == {f"prj_{number}" for number in range(MANY)}


def test_those_that_wait_share_a_commit(sqlite: Database) -> None:
    commits: list[object] = []
    event.listen(sqlite.engine, "commit", commits.append)

    write_all(sqlite, *map(adding, range(MANY)))

    assert 1 <= len(commits) <= 4  # the first goes alone, for nobody waits yet


def test_one_that_fails_leaves_nothing_and_the_others_everything(database: Database) -> None:
    works = [refused(number) if number % 3 == 0 else adding(number) for number in range(MANY)]

    found = write_all(database, *works)

    for number, one in enumerate(found):
        assert isinstance(one, LookupError) if number % 3 == 0 else one == number
    assert projects(database) == {f"prj_{number}" for number in range(MANY) if number % 3}


@pytest.mark.parametrize("place", [0, 1, 7, MANY])
def test_one_that_breaks_the_transaction_takes_nobody_along(sqlite: Database, place: int) -> None:
    write_all(sqlite, adding(-1))
    works: list[Work] = [*map(adding, range(MANY))]
    works.insert(place, broken)

    found = write_all(sqlite, *works)

    assert isinstance(found.pop(place), IntegrityError)
    assert found == list(range(MANY))
    assert projects(sqlite) == {f"prj_{number}" for number in range(-1, MANY)}


def test_what_follows_a_commit_follows_once_and_only_what_was_written(sqlite: Database) -> None:
    told: list[int] = []

    def telling(number: int, work: Work) -> Work:
        def tell(session: Session) -> Any:
            after_commit(session, lambda: told.append(number))
            return work(session)

        return tell

    write_all(sqlite, adding(-1))
    works = [telling(number, refused(number) if number % 2 else adding(number)) for number in range(10)]
    write_all(sqlite, *works, broken, broken)

    assert sorted(told) == [0, 2, 4, 6, 8]


def test_what_follows_a_commit_and_fails_takes_no_answer_away(database: Database) -> None:
    """It is written: whoever asked is told so, and whoever shared the commit, too."""
    told: list[int] = []

    def telling(number: int) -> Work:
        def tell(session: Session) -> Any:
            after_commit(session, lambda: told.append(1 // number))
            after_commit(session, lambda: told.append(number + 10))
            return adding(number)(session)

        return tell

    with structlog.testing.capture_logs() as lines:
        found = write_all(database, *map(telling, range(3)))

    assert found == [0, 1, 2]
    assert projects(database) == {"prj_0", "prj_1", "prj_2"}
    assert sorted(told) == [0, 1, 10, 11, 12]
    assert [line["event"] for line in lines] == ["commit.not_followed"]


def test_a_fault_outside_of_all_work_is_everybody_s_answer(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them may wait for ever."""

    def breaks(*_given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(SharedCommits, "_write", breaks)

    found = write_all(sqlite, *map(adding, range(3)))

    assert [type(one) for one in found] == [MemoryError] * 3


def test_each_works_in_the_context_of_its_asker(database: Database) -> None:
    async def ask(word: str) -> str:
        SPOKEN.set(word)
        return await database.write(lambda _: SPOKEN.get())

    async def ask_all() -> list[str]:
        try:
            return await asyncio.gather(*map(ask, "abcdef"))
        finally:
            await database.aclose()

    assert asyncio.run(ask_all()) == list("abcdef")


def test_an_asker_who_leaves_disturbs_nobody(sqlite: Database) -> None:
    async def leave() -> list[int]:
        tasks = [asyncio.ensure_future(sqlite.write(adding(number))) for number in range(10)]
        await asyncio.sleep(0)
        tasks[4].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await sqlite.aclose()
        return [one for one in found if isinstance(one, int)]

    assert asyncio.run(leave()) == [number for number in range(10) if number != 4]
