"""A service with its tables and its admin key, and a browser-like client that is signed in to its dashboard."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.main import create_app
from app.services import Services
from core.keys import ensure_admin_key, new_key
from core.settings import Settings
from tests.app.dashboard.samples import (
    add_dataset,
    add_model,
    beat,
    finish_job,
    sample_report,
    start_job,
    submit_job,
)

ORIGIN = "http://dashboard.test"


@pytest.fixture
def admin_key() -> str:
    return new_key()


@pytest.fixture
def application(sqlite_settings: Settings, admin_key: str) -> FastAPI:
    """The whole web process of the embedded default, dashboard included."""
    return application_of(sqlite_settings, admin_key)


def application_of(settings: Settings, admin_key: str) -> FastAPI:
    """Return the web process over a database that is opened by this key."""
    app = create_app(settings)
    ensure_admin_key(app.state.services.database, settings.model_copy(update={"admin_key": SecretStr(admin_key)}))
    return app


@pytest.fixture
def services(application: FastAPI) -> Iterator[Services]:
    opened: Services = application.state.services
    yield opened
    opened.database.close()


@pytest.fixture
def visitor(application: FastAPI) -> Iterator[TestClient]:
    """A client that has not signed in."""
    with browser_of(application) as client:
        yield client


@pytest.fixture
def admin(visitor: TestClient, admin_key: str) -> TestClient:
    """A client that has signed in with the admin key."""
    sign_in(visitor, admin_key)
    return visitor


@pytest.fixture
def finished_job(services: Services, tmp_path: Path) -> str:
    job_id = submit_job(services.database, add_model(services.database), dataset_id=add_dataset(services.database))
    claim = start_job(services.database, job_id)
    beat(services.database, claim, "score", 0.3, "unit 7 of 27")
    finish_job(services.database, services.storage, claim, tmp_path, sample_report())
    return job_id


def browser_of(application: FastAPI) -> TestClient:
    return TestClient(application, base_url=ORIGIN, follow_redirects=False)


def sign_in(client: httpx2.Client, admin_key: str) -> None:
    answer = client.post("/admin/login", data={"csrf": token_of(client), "key": admin_key, "next": "/admin"})
    assert answer.status_code == 303


@pytest.fixture
def address(application: FastAPI, services: Services) -> Iterator[str]:
    """The web process, listening on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def token_of(client: httpx2.Client, path: str = "/admin/login") -> str:
    """Read the token out of a page's form, as a browser sends it back."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]
