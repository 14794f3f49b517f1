"""Connections and transactions, and nothing about what the rows mean.

One code for SQLite (WAL, every commit on disk, one writer at a time) and PostgreSQL (psycopg 3). Writes are short
synchronous transactions. The web process's hot reads take a shortcut: see `Database.fetch_all`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import orjson
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, Insert, Select, Update, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session

from core.settings import Settings
from core.shared_commits import AFTER_COMMIT, SharedCommits, follow
from core.sqlite import BUSY_TIMEOUT_SECONDS, InTransaction, Reader, Text

T = TypeVar("T")
Record = dict[str, Any]
"""One row that was read, by column name."""

POOL_SIZE = 10
POSTGRES_PATIENCE = {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 10_000}
"""A server that has vanished is noticed in seconds, well within a lease."""

DRIVER = "driver"
"""Where a session's `info` keeps the driver's connection."""


@dataclass(frozen=True, eq=False)
class Query:
    """A select with named parameters, made once at import; calling it fills them in. `defaults` may be left out."""

    select: Select[*tuple[Any, ...]]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    _texts: list[Text] = field(default_factory=list, init=False, repr=False)

    def __call__(self, **values: Any) -> BoundQuery:
        return BoundQuery(self, {**self.defaults, **values})

    def in_sqlite(self, values: Mapping[str, Any]) -> Text:
        """Return it in SQLite's words, found once; `values` are a sample."""
        if not self._texts:
            self._texts.append(Text(self.select, values))
        return self._texts[0]


@dataclass(frozen=True)
class BoundQuery:
    """A query and the values of its parameters: what `fetch_one` and `fetch_all` take."""

    query: Query
    values: Mapping[str, Any]

    def one(self, session: Session) -> Record | None:
        """Read the first row inside a transaction, or None."""
        rows = self.all(session)
        return rows[0] if rows else None

    def all(self, session: Session) -> list[Record]:
        """Read every row inside a transaction."""
        if not is_sqlite(session):
            return [dict(row._mapping) for row in session.execute(self.query.select, self.values)]
        if session.autoflush:
            session.flush()
        return self.query.in_sqlite(self.values).read(_driver_of(session), self.values)


@dataclass(frozen=True, eq=False)
class Change:
    """An insert or update with named parameters, made once at import; calling it runs it at once, past the ORM.

    Every column that has a default in Python must be given. What the session holds unwritten stays unwritten.
    """

    statement: Insert | Update
    _texts: dict[tuple[str, ...], Text] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, session: Session, **values: Any) -> None:
        if not is_sqlite(session):
            session.connection().execute(self.statement, values)
            return
        names = tuple(values)
        if names not in self._texts:
            self._texts[names] = Text(self.statement, values)
        self._texts[names].read(_driver_of(session), values)


def _driver_of(session: Session) -> InTransaction:
    """Return the driver's connection of a session, found once: it has one transaction in its life."""
    found: InTransaction | None = session.info.get(DRIVER)
    if found is None:
        found = session.info[DRIVER] = InTransaction(session.connection())
    return found


class Database:
    """One database as one process uses it; safe to share between threads, not across a fork."""

    def __init__(self, url: str | URL) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._one_writer: AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else nullcontext()
        self._this_thread = threading.local()
        self._readers: list[Reader] = []
        self._shared: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedCommits] = WeakKeyDictionary()

    @cached_property
    def engine(self) -> Engine:
        """The engine of the short synchronous transactions."""
        if not self.is_sqlite:
            return create_engine(self.url, pool_size=POOL_SIZE, pool_pre_ping=True, connect_args=POSTGRES_PATIENCE)
        engine = create_engine(self.url, pool_size=POOL_SIZE, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine

    @cached_property
    def _async_engine(self) -> AsyncEngine:
        return create_async_engine(
            self.url,
            pool_size=POOL_SIZE,
            isolation_level="AUTOCOMMIT",
            connect_args=POSTGRES_PATIENCE,
            json_deserializer=orjson.loads,  # a page of jobs is mostly JSON
        )

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session; commit at the end, roll back on an error.

        On SQLite the write lock is taken at the start: a transaction that reads first and writes later could otherwise
        fail half way. Threads of one process queue for it here, because SQLite's own wait is not fair.
        """
        with self._one_writer, Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session
        follow(session.info.get(AFTER_COMMIT, ()))

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction, in a thread, so that a slow disk does not stop the event loop.

        On SQLite, where one writes at a time, those that wait share the next transaction: each in a savepoint of its
        own, so that one that fails leaves nothing, and all of them on the disk with one wait for it.
        """
        if not self.is_sqlite:
            return await asyncio.to_thread(self.do, work)
        loop = asyncio.get_running_loop()
        if loop not in self._shared:
            self._shared[loop] = SharedCommits(self.engine, self._one_writer)
        return await self._shared[loop].write(work)

    def do(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction."""
        with self.transaction() as session:
            return work(session)

    async def fetch_one(self, statement: BoundQuery | Select[Any]) -> Record | None:
        """Read the first row, outside any transaction, or None."""
        rows = await self.fetch_all(statement)
        return rows[0] if rows else None

    async def fetch_all(self, statement: BoundQuery | Select[Any]) -> list[Record]:
        """Read rows outside any transaction, the cheapest way; a `Query` is compiled once, a bare select every time.

        SQLite: at once, on this thread, with the driver: an indexed read takes microseconds, less than a change of
        thread does. PostgreSQL: on the event loop, with psycopg's own asynchronous connections.
        """
        if self.is_sqlite:
            return self._read_sqlite(statement)
        select, values = (
            (statement, {}) if isinstance(statement, Select) else (statement.query.select, statement.values)
        )
        async with self._async_engine.connect() as connection:
            return [dict(row._mapping) for row in await connection.execute(select, values)]

    async def add_up(self, statement: BoundQuery) -> Record:
        """Read the one row of a query that goes through many; on SQLite in a thread, while the event loop goes on."""
        rows = await (asyncio.to_thread(self.read_all, statement) if self.is_sqlite else self.fetch_all(statement))
        return rows[0]

    def read_all(self, statement: BoundQuery) -> list[Record]:
        """The same without an event loop, for the worker's polling."""
        if self.is_sqlite:
            return self._read_sqlite(statement)
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return [dict(row._mapping) for row in connection.execute(statement.query.select, statement.values)]

    def _read_sqlite(self, statement: BoundQuery | Select[Any]) -> list[Record]:
        if isinstance(statement, Select):
            return Text(statement, {}).read(self._reader, {})
        return statement.query.in_sqlite(statement.values).read(self._reader, statement.values)

    @property
    def _reader(self) -> Reader:
        """This thread's connection for reads."""
        reader: Reader | None = getattr(self._this_thread, "reader", None)
        if reader is None:
            reader = self._this_thread.reader = Reader(str(self.url.database))
            self._readers.append(reader)  # closed by whoever closes the database
        return reader

    async def aclose(self) -> None:
        """Close every connection, those of the event loop too."""
        if "_async_engine" in self.__dict__:
            await self._async_engine.dispose()
        self.close()

    def close(self) -> None:
        """Close every thread's connections; nothing may be read any more."""
        while self._readers:
            self._readers.pop().close()
        self._this_thread = threading.local()
        if "engine" in self.__dict__:
            self.engine.dispose()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_immediate`, not by the driver's guess
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # an acknowledged commit survives a power cut
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def utc_now(session: Session) -> datetime:
    """Return the moment by the database's clock, the only clock that leases are measured by."""
    if is_sqlite(session):  # it runs in this process, by this clock, and in milliseconds
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    # Not now(): that is when the transaction began, and it may have waited for a lock since.
    moment = session.scalar(text("SELECT clock_timestamp()"))
    assert isinstance(moment, datetime)
    return moment.astimezone(UTC)


def after_commit(session: Session, act: Callable[[], None]) -> None:
    """Have something done once the session's transaction is written, and never if it is rolled back."""
    session.info.setdefault(AFTER_COMMIT, []).append(act)


def insert_if_absent(session: Session, table: type[DeclarativeBase], **values: Any) -> None:
    """Add a row unless its key is taken, in one statement, so that two processes may do it at once."""
    dialect = sqlite if is_sqlite(session) else postgresql
    session.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def database_url(settings: Settings) -> URL:
    """Return the URL that the settings name, or that of the SQLite file in `data_dir`."""
    if settings.database_url is None:
        return URL.create("sqlite", database=str(settings.data_dir.resolve() / "secateur.db"))
    url = make_url(settings.database_url.get_secret_value())
    return url.set(drivername="postgresql+psycopg") if url.drivername in {"postgres", "postgresql"} else url


def open_database(settings: Settings) -> Database:
    """Open the database that the settings name; tables are made by `upgrade`."""
    if settings.database_url is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    return Database(database_url(settings))


def upgrade(settings: Settings) -> None:
    """Bring the tables to the newest revision. Safe to call from several processes at once: one does it, all wait."""
    database = open_database(settings)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).resolve().parent.parent / "migrations"))
    try:
        with database.engine.begin() as connection:
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(7283400)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()
