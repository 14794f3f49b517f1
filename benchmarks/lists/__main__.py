"""`python -m benchmarks.lists`: every list and page on a PostgreSQL with 100,000 jobs and 1,000,000 events.

The database comes out of a wheel and is filled by itself; `--database DIR` keeps it for the next run. Each round asks
for everything once. What is timed is what an answer's statements take together, as the web process sees it; the whole
answer's time stands beside it. The last line is one JSON object; returns 1 when a p95 is over 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.main import create_app
from app.services import Services
from benchmarks.lists.asking import SMALL_PROJECT_ID, Askers, Clock, Question, ask_all, questions, timed_statements
from benchmarks.lists.filling import Filled, fill
from benchmarks.markdown import lines
from benchmarks.postgres import running_postgres
from benchmarks.record import keep, machine
from core.db import Database, open_database, upgrade
from core.keys import create_key, ensure_admin_key, load_pepper
from core.scopes import DEFAULT_PROJECT_ID
from core.settings import Settings

MOST_MS = 50.0


def main() -> int:
    """Fill, ask, tell; return 1 when a bound does not hold."""
    options = _parse()
    folder = nullcontext(options.database) if options.database else tempfile.TemporaryDirectory(prefix="pg-")
    with folder as place, running_postgres(Path(place)) as url, tempfile.TemporaryDirectory() as data:
        settings = Settings(data_dir=Path(data), database_url=url, key_pepper="p" * 32)
        upgrade(settings)
        rows, filled = _measure(settings, options)
    result = {
        "statements_ms_p95": rows[0]["statements_ms_p95"],
        "slowest": rows[0]["asked"],
        "answer_ms_p95": max(row["answer_ms_p95"] for row in rows),
        "asked": len(rows),
        "rounds": options.rounds,
        **asdict(filled),
    }
    _tell(rows, result, options.keep)
    return 0 if result["statements_ms_p95"] <= MOST_MS else 1


def _measure(settings: Settings, options: argparse.Namespace) -> tuple[list[dict[str, Any]], Filled]:
    database = open_database(settings)
    ensure_admin_key(database, settings)
    filled = fill(database.engine)
    keys = _new_key(database, settings, DEFAULT_PROJECT_ID), _new_key(database, settings, SMALL_PROJECT_ID)
    asked = questions(database.engine)
    with timed_statements(options.explain_ms) as clock:
        rows = asyncio.run(_ask(settings, keys, asked, clock, options.rounds))
    explain(database, clock)
    database.close()
    return rows, filled


async def _ask(
    settings: Settings, keys: tuple[str, str], asked: list[Question], clock: Clock, rounds: int
) -> list[dict[str, Any]]:
    app = create_app(settings)
    services: Services = app.state.services
    try:
        return await ask_all(Askers(app, *keys), asked, clock, rounds)
    finally:
        await services.close()


def explain(database: Database, clock: Clock) -> None:
    """Print how the database went about each statement that took long."""
    for statement, parameters in clock.slow.items():
        with database.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)
            print(statement, json.dumps(parameters, default=str), *(row[0] for row in plan), sep="\n", end="\n\n")


def _tell(rows: list[dict[str, Any]], result: dict[str, Any], is_kept: bool) -> None:
    head = ("asked", "statements p50, ms", "p95, ms", "answer p50, ms", "p95, ms")
    table = lines(head, ([str(value) for value in row.values()] for row in rows))
    print("\n".join(table))
    if is_kept:
        here = machine()
        rest = f"{result['jobs']:,} jobs, {result['events']:,} events, {result['projects']} projects in PostgreSQL 18."
        keep("lists", here, [result, *rows], "\n".join([*table, "", rest, here.sentence()]))
    print(json.dumps(result))


def _new_key(database: Database, settings: Settings, project_id: str) -> str:
    asked: dict[str, Any] = {"project_id": project_id, "name": "benchmark", "scopes": ["read", "admin"]}
    with database.transaction() as session:
        return create_key(session, pepper=load_pepper(settings), **asked)[1]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.lists", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--database", type=Path, help="folder that keeps the filled database; it needs 2 GB")
    parser.add_argument("--explain-ms", type=float, default=MOST_MS, help="explain statements that take longer")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/lists.json and .md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
