"""The web process over a real socket, and short words for what tests ask of it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from sqlalchemy import update

from app.main import create_app
from app.problem_kinds import PROBLEMS
from app.services import Services
from core.db import Database, utc_now
from core.jobs import Claim, Delivered, Progress, beat, claim, finish, validated
from core.keys import create_key, ensure_admin_key
from core.settings import Settings
from core.tables import Dataset, FileState, Project, StoredModel


@dataclass(frozen=True)
class Service:
    """A running web process, with its own database at hand."""

    url: str
    services: Services
    key: str

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, key: str | None = None) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {key or self.key}"}, timeout=60)

    def new_key(self, scopes: Sequence[str] = ("read", "write"), project_id: str = "prj_default", **more: Any) -> str:
        with self.database.transaction() as session:
            return create_key(
                session, project_id=project_id, name="test", scopes=scopes, pepper=self.services.pepper, **more
            )[1]

    def new_project(self, project_id: str) -> str:
        """Make another project; return an admin key of it."""
        with self.database.transaction() as session:
            session.add(Project(id=project_id, name="other", created_at=utc_now(session)))
        return self.new_key(("read", "write", "admin"), project_id)


@contextmanager
def running_service(settings: Settings) -> Iterator[Service]:
    """Serve on a free loopback port until the block ends."""
    app = create_app(settings)
    services: Services = app.state.services
    key = ensure_admin_key(services.database, settings)
    config = uvicorn.Config(app, port=0, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Service(f"http://127.0.0.1:{port}", services, key or "")
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the web process does not end"
        services.database.close()


def wait_until(is_true: Any, seconds: float = 60.0) -> None:
    """Wait for a condition; fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


def put_file(client: httpx2.Client, content: bytes = b"network", filename: str = "net.onnx") -> dict[str, Any]:
    response = client.put("/v1/files", params={"filename": filename}, content=content)
    assert response.status_code == 201, response.text
    return dict(response.json())


def parts_of(service: Service) -> set[str]:
    return {path.name for path in service.services.part_folder.glob("*")}


def make_model(client: httpx2.Client, content: bytes = b"network") -> str:
    response = client.post("/v1/models", json={"upload_id": put_file(client, content)["id"]})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def make_job(client: httpx2.Client, model_id: str | None = None, **body: Any) -> dict[str, Any]:
    response = client.post("/v1/jobs", json={"model_id": model_id or make_model(client), **body})
    assert response.status_code == 202, response.text
    return dict(response.json())


def start_job(service: Service, job_id: str) -> Claim:
    """Do what a worker does up to the start of a job's run."""
    lease: dict[str, Any] = {
        "worker_id": "wrk_test",
        "devices": ["cpu", "gpu"],
        "lease_seconds": 600.0,
        "job_id": job_id,
    }
    with service.database.transaction() as session:
        for table in (StoredModel, Dataset):  # no worker has examined them
            session.execute(update(table).values(state=FileState.READY))
        validating = claim(session, **lease)
        assert validating is not None
        validated(session, validating, {})
        running = claim(session, **lease)
        assert running is not None
        return running


def report_progress(service: Service, running: Claim, fraction: float, stage: str = "score") -> None:
    with service.database.transaction() as session:
        beat(session, running, Progress(stage, fraction, 10.0, f"at {fraction}"))


def finish_job(service: Service, running: Claim, files: dict[str, bytes] | None = None, **report: Any) -> None:
    """End a job well, with these files as its artifacts."""
    delivered = [store(service, name, content) for name, content in (files or {}).items()]
    with service.database.transaction() as session:
        finish(session, running, outcome="target_met", report=report, delivered=delivered)


def store(service: Service, name: str, content: bytes) -> Delivered:
    """Put bytes into the service's store as a worker does."""
    path = service.services.settings.data_dir / f"delivered-{name.replace('/', '-')}"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    service.services.storage.put_file(path, sha256)
    return Delivered(name, "model", "application/octet-stream", sha256, len(content))


def assert_problem(response: httpx2.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    """Check that a refusal has its whole form and says what is needed; return it."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == (PROBLEMS[code].type or f"/problems/{code}")
    assert body["request_id"] == response.headers["Request-Id"]
    assert body["title"]
    assert isinstance(body["retryable"], bool)
    assert isinstance(body["errors"], list)
    for word in words:
        assert word in body["detail"], body["detail"]
    return dict(body)
