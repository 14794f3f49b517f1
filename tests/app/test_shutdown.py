"""At the end of the web process nothing is closed under a thread that still uses it, and no byte is lost."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from app import background
from app import services as services_module
from app.main import create_app
from app.services import Services
from core.settings import Settings
from tests.app.running import running_service, wait_until
from tests.app.test_uploads import append, create
from tests.conftest import make_settings

CONTENT = bytes(range(256)) * 12


class SlowStep:
    """Work in a thread that goes on for a while after its task was cancelled."""

    def __init__(self) -> None:
        self.began, self.ended = threading.Event(), threading.Event()

    def __call__(self, *_arguments: object) -> None:
        self.began.set()
        time.sleep(0.3)
        self.ended.set()


def a_step_of_the_background(services: Services, _step: SlowStep) -> None:
    services.job_written.set()


def a_request_that_writes(services: Services, step: SlowStep) -> None:
    request = asyncio.ensure_future(services.database.write(step))
    asyncio.get_running_loop().call_later(0.1, request.cancel)


@pytest.mark.parametrize("begin", [a_step_of_the_background, a_request_that_writes])
def test_the_database_is_closed_after_the_last_thread(
    begin: Callable[[Services, SlowStep], None], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, had_ended = SlowStep(), []
    monkeypatch.setattr(background, "dispatch", step)
    app = create_app(settings)
    services: Services = app.state.services
    close = services.database.aclose

    async def watched_close() -> None:
        had_ended.append(step.ended.is_set())
        await close()

    monkeypatch.setattr(services.database, "aclose", watched_close)

    asyncio.run(live_until(app, lambda: begin(services, step), step.began))

    assert had_ended == [True]


def test_a_thread_that_hangs_is_not_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services_module, "CLOSE_SECONDS", 0.2)
    app = create_app(settings)
    services: Services = app.state.services
    close, began, release, closed = services.database.aclose, threading.Event(), threading.Event(), list[bool]()

    async def watched_close() -> None:
        closed.append(not release.is_set())
        release.set()
        await close()

    def hang(*_arguments: object) -> None:
        began.set()
        assert release.wait(20)

    monkeypatch.setattr(services.database, "aclose", watched_close)
    monkeypatch.setattr(background, "dispatch", hang)

    asyncio.run(live_until(app, services.job_written.set, began))

    assert closed == [True]


def test_the_database_is_closed_when_the_web_process_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(settings)
    database = app.state.services.database
    close, closed = database.aclose, list[bool]()

    async def watched_close() -> None:
        closed.append(True)
        await close()

    async def fail() -> None:
        async with app.router.lifespan_context(app):
            raise OSError("disk on fire")

    monkeypatch.setattr(database, "aclose", watched_close)

    with pytest.raises(OSError, match="disk on fire"):
        asyncio.run(fail())

    assert closed == [True]


async def live_until(app: FastAPI, begin: Callable[[], None], began: threading.Event) -> None:
    """Start the web process, let something begin, and stop in the middle of it."""
    async with app.router.lifespan_context(app):
        begin()
        while not began.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)


def test_an_upload_in_the_middle_of_a_shutdown_keeps_what_has_arrived(tmp_path: Path, sqlite_template: Path) -> None:
    (tmp_path / "secateur.db").write_bytes(sqlite_template.read_bytes())
    with running_service(make_settings(tmp_path)) as before:
        with before.client() as client:
            upload_id = create(client, len(CONTENT), sha256=None)
        head = (
            f"PATCH /v1/uploads/{upload_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {before.key}\r\n"
            "Content-Type: application/partial-upload\r\nUpload-Offset: 0\r\nUpload-Complete: ?0\r\n"
            f"Content-Length: {len(CONTENT)}\r\n\r\n"
        )
        connection = socket.create_connection(("127.0.0.1", before.port))
        connection.sendall(head.encode() + CONTENT[:1000])
        wait_until((before.services.part_folder / f"{upload_id}.part").exists)
    connection.close()

    with running_service(make_settings(tmp_path)) as after, after.client(before.key) as client:
        assert client.head(f"/v1/uploads/{upload_id}").headers["Upload-Offset"] == "1000"
        done = append(client, upload_id, 1000, CONTENT[1000:], "?1")

    assert done.json()["sha256"] == hashlib.sha256(CONTENT).hexdigest()
