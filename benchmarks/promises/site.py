"""A service to hold to its promises: a web process on either database, projects' clients, and a worker's hands."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
from pydantic import SecretStr

from benchmarks.postgres import running_postgres
from benchmarks.served import free_port, start, wait_for
from core.db import Database, database_url, insert_if_absent, open_database, upgrade, utc_now
from core.jobs import Claim, claim, validated
from core.keys import create_key, load_pepper
from core.settings import Settings
from core.tables import Blob, Project, StoredModel

PEPPER: Final = "benchmark " * 4
SHA256: Final = "0" * 64
LEASE_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Tenant:
    """A project with a network, and its key."""

    project_id: str
    model_id: str
    key: str


@dataclass
class Site:
    """A running web process, which may be killed and started again, and its database at hand."""

    settings: Settings
    database: Database
    port: int
    process: subprocess.Popen[bytes]

    def client(self, tenant: Tenant) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {tenant.key}"}
        return httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=60)

    def new_tenant(self, number: int) -> Tenant:
        """Write a project, a network that is ready, and a key."""
        project_id, model_id = f"prj_{number:026}", f"mod_{number:026}"
        with self.database.transaction() as session:
            now = utc_now(session)
            session.add(Project(id=project_id, name=f"project {number}", created_at=now))
            insert_if_absent(session, Blob, sha256=SHA256, size_bytes=4, created_at=now)
            session.flush()
            file: dict[str, Any] = {"name": "m.onnx", "sha256": SHA256, "size_bytes": 4, "created_at": now}
            session.add(StoredModel(id=model_id, project_id=project_id, **file))
            asked: dict[str, Any] = {"project_id": project_id, "name": "benchmark", "scopes": ["read", "write"]}
            key = create_key(session, pepper=load_pepper(self.settings), **asked)[1]
        return Tenant(project_id, model_id, key)

    def claim(self, *devices: str) -> Claim | None:
        """Claim the next job of some devices, as a worker does; of none: the next whose network is to be looked at."""
        with self.database.transaction() as session:
            asked: dict[str, Any] = {"worker_id": "wrk_benchmark", "lease_seconds": LEASE_SECONDS}
            return claim(session, devices=devices, validate=not devices, **asked)

    def inspect(self) -> Claim | None:
        """Look at the next network that a job waits for, and find nothing wrong with it."""
        looked_at = self.claim()
        if looked_at is not None:
            with self.database.transaction() as session:
                validated(session, looked_at, {})
        return looked_at

    def kill(self) -> None:
        """Kill the web process without a word, and start another one on its port."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = _serve(self.settings, self.port)


def submit(client: httpx2.Client, tenant: Tenant, **more: Any) -> str:
    """Ask for a job; return its id."""
    answer = client.post("/v1/jobs", json={"model_id": tenant.model_id, **more})
    answer.raise_for_status()
    return str(answer.json()["id"])


@contextmanager
def running_site(is_postgres: bool) -> Iterator[Site]:
    """Serve on SQLite or on PostgreSQL until the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
        tempfile.TemporaryDirectory(prefix="secateur-bench-") as data,
        running_postgres(Path(folder)) if is_postgres else nullcontext() as url,
    ):
        settings = Settings(
            data_dir=Path(data), database_url=SecretStr(url) if url else None, key_pepper=SecretStr(PEPPER)
        )
        upgrade(settings)
        port = free_port()
        site = Site(settings, open_database(settings), port, _serve(settings, port))
        try:
            yield site
        finally:
            site.process.terminate()
            site.process.wait(30)
            site.database.close()


def environment_of(settings: Settings) -> dict[str, str]:
    """Return what another process needs to work on the same service."""
    url = database_url(settings).render_as_string(hide_password=False)
    shared = {"SECATEUR_DATABASE_URL": url} if settings.database_url is not None else {}
    return {"SECATEUR_KEY_PEPPER": PEPPER, **shared}


def _serve(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    process = start(["-m", "app"], str(settings.data_dir), port, **environment_of(settings))
    wait_for(port, "/healthz")
    return process
