"""A service with its tables and its admin key, and a browser-like client that is signed in to its dashboard."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient

from app.main import create_app
from app.services import Services
from core.keys import ensure_admin_key, new_key
from core.settings import Settings

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


def browser_of(application: FastAPI) -> TestClient:
    return TestClient(application, base_url=ORIGIN, follow_redirects=False)


def sign_in(client: TestClient, admin_key: str) -> None:
    answer = client.post("/admin/login", data={"csrf": token_of(client), "key": admin_key, "next": "/admin"})
    assert answer.status_code == 303


def token_of(client: TestClient, path: str = "/admin/login") -> str:
    """Read the token out of a page's form, as a browser sends it back."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]
