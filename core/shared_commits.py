"""Writes that wait for one another and end with one commit: SQLite has one writer, and a commit waits for the disk."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

T = TypeVar("T")

AFTER_COMMIT: Final = "after_commit"
"""Where a session's `info` keeps what is to be done once its transaction is written."""

AT_ONCE: Final = 32

log = structlog.get_logger("core.database")


class _Wish(NamedTuple):
    """A piece of work, what it runs in, and who waits for it."""

    work: Callable[[Session], Any]
    context: contextvars.Context
    answer: asyncio.Future[Any]


class _Result(NamedTuple):
    """What came of a wish; `acts` are still to be done."""

    value: Any = None
    fault: BaseException | None = None
    acts: Sequence[Callable[[], None]] = ()


class SharedCommits:
    """The writes of one event loop. `lock` is held while one is under way."""

    def __init__(self, engine: Engine, lock: AbstractContextManager[Any]) -> None:
        self._engine, self._lock = engine, lock
        self._waiting: list[_Wish] = []
        self._under_way = False

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction, in a thread; return when it is on the disk, or raise what it raised.

        Who asks while another transaction is under way shares the next one with all others who wait, and so do those
        whose requests come together: the first waits until the loop has heard the others.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Wish(work, contextvars.copy_context(), answer))
        if not self._under_way:
            self._under_way = True
            loop.call_soon(self._begin)
        return await answer

    def _begin(self) -> None:
        batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        try:
            writing = asyncio.get_running_loop().run_in_executor(None, self._write, batch)
        except RuntimeError as closed:  # the process ends: no thread begins any more
            lost, self._waiting, self._under_way = [*batch, *self._waiting], [], False
            self._tell(lost, [_Result(fault=closed)] * len(lost))
            return
        writing.add_done_callback(lambda done: self._written(batch, done))

    def _written(self, batch: Sequence[_Wish], done: asyncio.Future[list[_Result]]) -> None:
        """Begin the next transaction before anybody is told of this one: the disk need not wait for that."""
        if self._waiting:
            self._begin()
        else:
            self._under_way = False
        fault = done.exception()
        self._tell(batch, done.result() if fault is None else [_Result(fault=fault)] * len(batch))

    def _tell(self, batch: Sequence[_Wish], results: Sequence[_Result]) -> None:
        for wish, result in zip(batch, results, strict=True):
            if wish.answer.cancelled():
                continue
            if result.fault is not None:
                wish.answer.set_exception(result.fault)
            else:
                wish.answer.set_result(result.value)

    def _write(self, batch: Sequence[_Wish]) -> list[_Result]:
        """Write all; where a fault has ended the whole transaction, write each of the others by itself."""
        try:
            with self._lock, self._engine.begin() as connection, _session_of(connection) as session:
                results = [self._take(connection, session, wish) for wish in batch]
                is_whole = connection.in_transaction()
        except Exception as error:  # the commit, or the beginning
            return [_Result(fault=error)] * len(batch)
        if not is_whole and len(batch) > 1:
            return [result for wish in batch for result in self._write([wish])]
        follow(act for result in results for act in result.acts)
        return results

    def _take(self, connection: Connection, session: Session, wish: _Wish) -> _Result:
        """Run one piece of work in a savepoint of the driver's own: SQLAlchemy's costs as much as the work."""
        if not connection.in_transaction():
            return _Result()  # it will be asked again
        raw: Any = connection.connection.driver_connection
        raw.execute("SAVEPOINT one")
        try:
            value = wish.context.run(wish.work, session)
            session.flush()
        except BaseException as error:
            if connection.in_transaction():
                raw.execute("ROLLBACK TO one")
                raw.execute("RELEASE one")
            return _Result(fault=error)
        else:
            raw.execute("RELEASE one")
            return _Result(value, acts=session.info.get(AFTER_COMMIT, ()))
        finally:
            session.info.pop(AFTER_COMMIT, None)
            session.expunge_all()  # the next one begins with nothing, as with a session of its own


def follow(acts: Iterable[Callable[[], None]]) -> None:
    """Do what follows a commit. One that fails is told in the log alone: what is written is not answered by a fault."""
    for act in acts:
        try:
            act()
        except Exception:
            log.exception("commit.not_followed")


def _session_of(connection: Connection) -> Session:
    """Open a session that leaves the transaction to us; all that share the transaction use it, one after the other."""
    return Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
