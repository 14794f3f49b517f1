"""A running web process: one for each module, on the embedded default; one for each test, on either database."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import structlog

from core.settings import Settings
from tests.app.running import Service, running_service
from tests.conftest import make_settings

_project_numbers = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def quiet_log() -> Iterator[None]:
    """Log lines are made, but not shown: structlog's pretty tracebacks take seconds."""
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    """The embedded default."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(sqlite_template, folder / "secateur.db")
    with running_service(make_settings(folder)) as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[httpx2.Client]:
    """The admin of a project that nobody else uses."""
    with service.client(service.new_project(f"prj_{next(_project_numbers):026}")) as opened:
        yield opened


@pytest.fixture
def any_service(settings: Settings) -> Iterator[Service]:
    """The service on either database: a test that takes this runs on both."""
    with running_service(settings) as running:
        yield running


@pytest.fixture
def any_client(any_service: Service) -> Iterator[httpx2.Client]:
    with any_service.client() as opened:
        yield opened
