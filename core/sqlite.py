"""SQLite by its own driver: what SQLAlchemy adds to a small statement takes ten times as long as the statement.

Texts, and what turns values into columns and back, are SQLAlchemy's; it is only left out when a statement is run.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Insert, Select, Update
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DBAPIError

Record = dict[str, Any]

BUSY_TIMEOUT_SECONDS = 30
DIALECT = SQLiteDialect_pysqlite(
    paramstyle="qmark", json_serializer=lambda value: orjson.dumps(value).decode(), json_deserializer=orjson.loads
)


class Reader:
    """One thread's connection for reads. The lock is for whoever closes it: in the middle of a read that crashes."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA query_only = ON")

    def rows(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Wait for the read under way, then close; a later read raises sqlite3.ProgrammingError."""
        with self._lock:
            self._connection.close()


class InTransaction:
    """The connection of a transaction that SQLAlchemy has begun."""

    def __init__(self, connection: Connection) -> None:
        raw: sqlite3.Connection | None = connection.connection.driver_connection
        assert raw is not None
        self._raw = raw

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._raw.execute(sql, parameters).fetchall()


class Text:
    """A statement as SQLite's own text; `values` are a sample."""

    def __init__(self, statement: Select[Any] | Insert | Update, values: Mapping[str, Any]) -> None:
        compiled = statement.compile(dialect=DIALECT, column_keys=None if isinstance(statement, Select) else [*values])
        made_up = {*getattr(compiled, "insert_prefetch", ()), *getattr(compiled, "update_prefetch", ())}
        if made_up:
            raise ValueError(
                f"Give {', '.join(sorted(column.name for column in made_up))}: defaults are not used here."
            )
        expanded = compiled.construct_expanded_state(values)
        self.sql = expanded.statement
        self._fixed = expanded.parameters
        # An encoder that is a sequence belongs to a tuple, of which each element has one in the expanded state.
        encoders: dict[str, Any] = {**compiled._bind_processors, **expanded.processors}
        self._parameters = [(name, encoders.get(name)) for name in expanded.positiontup or ()]
        columns = statement.selected_columns if isinstance(statement, Select) else ()
        self._columns = [
            (str(column.key), column.type.dialect_impl(DIALECT).result_processor(DIALECT, None)) for column in columns
        ]

    def read(self, connection: Reader | InTransaction, values: Mapping[str, Any]) -> list[Record]:
        """Run it and return all rows; a fault is told in the same words as on every other way to the database."""
        given = [
            encode(value) if encode else value
            for value, encode in (
                (values[name] if name in values else self._fixed[name], encode) for name, encode in self._parameters
            )
        ]
        try:
            rows = connection.rows(self.sql, given)
        except sqlite3.ProgrammingError:
            raise  # closed
        except sqlite3.DatabaseError as error:
            raise DBAPIError.instance(self.sql, given, error, sqlite3.Error) from error
        return [
            {key: decode(value) if decode else value for (key, decode), value in zip(self._columns, row, strict=True)}
            for row in rows
        ]
