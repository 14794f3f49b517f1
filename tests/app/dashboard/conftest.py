"""A service with its tables and its admin key, and a browser-like client that is signed in to its dashboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app import dashboard
from app.services import Services
from core.db import upgrade
from core.keys import ensure_admin_key, new_key
from core.settings import Settings

ORIGIN = "http://dashboard.test"


@pytest.fixture
def admin_key() -> str:
    return new_key()


@pytest.fixture
def services(tmp_path: Path, admin_key: str) -> Iterator[Services]:
    settings = Settings(data_dir=tmp_path / "var", admin_key=SecretStr(admin_key), _env_file=None)
    upgrade(settings)
    opened = Services.open(settings)
    ensure_admin_key(opened.database, settings)
    yield opened
    opened.database.close()


@pytest.fixture
def application(services: Services) -> Starlette:
    app = Starlette()
    app.state.services = services
    dashboard.install(app)
    return app


@pytest.fixture
def visitor(application: Starlette) -> Iterator[TestClient]:
    """A client that has not signed in."""
    with TestClient(application, base_url=ORIGIN, follow_redirects=False) as client:
        yield client


@pytest.fixture
def admin(visitor: TestClient, admin_key: str) -> TestClient:
    """A client that has signed in with the admin key."""
    answer = visitor.post("/admin/login", data={"csrf": token_of(visitor), "key": admin_key, "next": "/admin"})
    assert answer.status_code == 303
    return visitor


def token_of(client: TestClient, path: str = "/admin/login") -> str:
    """Read the token out of a page's form, as a browser sends it back."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]
