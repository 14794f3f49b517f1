"""A web process that is told to stop: unready at once, answering for a while, and nothing is lost of what lasted."""

from __future__ import annotations

import hashlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import httpx2
import pytest

from core.db import open_database
from core.keys import ensure_admin_key
from core.settings import Settings
from tests.app.running import assert_problem, make_job, running_service, wait_until
from tests.app.test_events import stream
from tests.app.test_uploads import append, create
from tests.servers import free_port, running
from tests.worker.test_processes import environment_of

DRAIN_SECONDS = 1.5
CONTENT = bytes(range(256)) * 4096
ARRIVED = 300_000


class Web(NamedTuple):
    process: subprocess.Popen[bytes]
    port: int
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60)


@contextmanager
def web_process(settings: Settings) -> Iterator[Web]:
    """Run `python -m app` over the data of the settings."""
    database, port = open_database(settings), free_port()
    key = ensure_admin_key(database, settings)
    database.close()
    assert key is not None
    environment = environment_of(settings.model_copy(update={"port": port}))
    with running([sys.executable, "-m", "app"], port=port, environment=environment) as process:
        yield Web(process, port, key)


@pytest.fixture
def draining(sqlite_settings: Settings) -> Settings:
    return sqlite_settings.model_copy(update={"web_drain_seconds": DRAIN_SECONDS})


def test_a_web_process_that_stops_sends_everybody_elsewhere_and_loses_nothing(draining: Settings) -> None:
    with web_process(draining) as web, web.client() as client, ThreadPoolExecutor() as others:
        job_id, upload_id = make_job(client)["id"], create(client, len(CONTENT))
        followed = others.submit(follow, web, job_id)
        waited = others.submit(wait_for_a_change, web, job_id)
        sending = begin_to_send(web, upload_id)
        wait_until((draining.data_dir / "uploads" / f"{upload_id}.part").exists)

        web.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx2.get(f"{web.url}/readyz").json()["checks"]["process"]["ok"] is False)
        unready = httpx2.get(f"{web.url}/readyz")
        answered = client.get(f"/v1/jobs/{job_id}")

        assert_problem(unready, 503, "not-ready", "about to stop")
        assert (answered.status_code, answered.headers["Connection"]) == (200, "close")
        text = followed.result()
        last_id = re.findall(r"^id: (\d+)$", text, re.MULTILINE)[-1]
        assert re.search(r"^retry: 1\d\d\d$", text.rpartition("id: ")[2], re.MULTILINE)
        assert "event: end" not in text
        assert waited.result().json()["state"] == "submitted"
        assert b"server-stopping" in everything_from(sending)
        assert web.process.wait(30) == 0

    with running_service(draining) as another, another.client(web.key) as client:
        assert client.head(f"/v1/uploads/{upload_id}").headers["Upload-Offset"] == str(ARRIVED)
        done = append(client, upload_id, ARRIVED, CONTENT[ARRIVED:], "?1")
        client.post(f"/v1/jobs/{job_id}/cancel")
        rest = stream(client, job_id, **{"Last-Event-ID": last_id})

    assert done.json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert [line.id for line in rest] == [int(last_id) + 1, int(last_id) + 1]
    assert rest[-1].data == {"state": "cancelled"}


def follow(web: Web, job_id: str) -> str:
    """Read a stream to its end; one that is cut, and not ended, raises."""
    with web.client() as client:
        return client.get(f"/v1/jobs/{job_id}/events", headers={"Accept": "text/event-stream"}).text


def wait_for_a_change(web: Web, job_id: str) -> httpx2.Response:
    with web.client() as client:
        return client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=55"})


def begin_to_send(web: Web, upload_id: str) -> socket.socket:
    """Send the beginning of a body, and keep the connection."""
    head = (
        f"PATCH /v1/uploads/{upload_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {web.key}\r\n"
        "Content-Type: application/partial-upload\r\nUpload-Offset: 0\r\nUpload-Complete: ?1\r\n"
        f"Content-Length: {len(CONTENT)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", web.port))
    connection.sendall(head.encode() + CONTENT[:ARRIVED])
    return connection


def everything_from(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))
