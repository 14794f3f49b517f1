"""Fills a PostgreSQL with the rows of a service that has been at work for a month. The database makes them by itself.

Six of ten jobs are the first project's, the others are spread over 39 projects in three organisations. The newest 5,000
jobs wait; what is older has ended, but for some that run and for a handful that were paused a month ago. Reports are
left out: no list reads them, and the database keeps them apart from the rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from core.jobs.forecast import price
from engine.recipe import Recipe

JOBS: Final = 100_000
LONGEST_HISTORY: Final = 20_000
PROJECTS: Final = 40
MONTH_MS: Final = 30 * 24 * 3600 * 1000
STATEMENTS: Final = Path(__file__).with_name("filling.sql")


@dataclass(frozen=True)
class Filled:
    """How many rows there are."""

    jobs: int
    events: int
    projects: int


def fill(engine: Engine, jobs: int = JOBS, longest: int = LONGEST_HISTORY) -> Filled:
    """Write all rows, unless they are there; the tables and the first project must be."""
    with engine.begin() as connection:
        if _count(connection, "projects") < PROJECTS:
            _write(connection, jobs, longest)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
        return Filled(*(_count(connection, table) for table in ("jobs", "events", "projects")))


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608  # names of ours


def _write(connection: Connection, jobs: int, longest: int) -> None:
    known = _values(connection) | {"jobs": jobs, "step_ms": MONTH_MS // jobs, "longest": longest}
    for statement in map(text, STATEMENTS.read_text().strip().removesuffix(";").split(";\n\n")):
        named = statement.compile().params
        connection.execute(statement, {name: value for name, value in known.items() if name in named})


def _values(connection: Connection) -> dict[str, Any]:
    now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    stage = {"name": "score", "fraction": 1.0, "started_at": "2026-01-01T00:00:00Z", "ended_at": None}
    forecast = {"jobs": 20, "run": [60.0, 90.0], "stretch": [[1.0, 2.0]] * 4, "limit_seconds": 720.0}
    price_seconds, price_late_seconds = price(forecast)
    return {
        "now": now,
        "begin_ms": int(now.timestamp() * 1000) - MONTH_MS,
        "projects": PROJECTS,
        "recipe": json.dumps(Recipe().model_dump(mode="json")),
        "stages": json.dumps([stage] * 8),
        "forecast": json.dumps(forecast),
        "price_seconds": price_seconds,
        "price_late_seconds": price_late_seconds,
        "samples": json.dumps([[0.1, 10.0, 100.0]] * 20),
    }
