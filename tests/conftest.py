"""Databases, stores and settings for every test. Each process starts a server when the first test asks for it, once."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from core.db import Database, open_database, upgrade
from core.settings import Settings
from core.storage import Storage, open_storage
from tests.servers import PostgresServer, S3Server, running_postgres, running_s3, running_valkey

TOGETHER = {
    "standard": r"tests/engine/execution/test_(conformance|gradients|parity)\.py::",
    "embedded": r"tests/end_to_end/.*\[embedded\b",
    "scale_out": r"tests/end_to_end/.*\[scale_out\b",
}
"""Tests that share what takes long to make: the cases of the ONNX standard, a deployment."""


class FilesAndGroups(LoadScopeScheduling):
    """Which process runs a test: tests of a group, or else of a file, stay together and share what they have made.

    Groups are known by the tests' names: xdist loses the marks of groups from pytest 9.2 on (pytest-xdist #1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return what a test shares its process with: the name of a group, or the path of its file."""
    groups = (name for name, pattern in TOGETHER.items() if re.match(pattern, nodeid))
    return next(groups, nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAndGroups:
    return FilesAndGroups(config, log)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    with running_valkey() as url:
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with all tables, to be copied."""
    url = postgres.create_database()
    upgrade(make_settings(tmp_path_factory.mktemp("template"), database_url=url))
    return str(make_url(url).database)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with all tables, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    upgrade(make_settings(folder))
    return folder / "secateur.db"


def make_settings(folder: Path, **changes: object) -> Settings:
    """Return the embedded default in `folder`, with short times, deaf to the environment."""
    quick = {"lease_seconds": 2.0, "poll_seconds": 0.1, "job_grace_seconds": 5.0, "worker_drain_seconds": 0.0}
    return Settings.model_validate({"data_dir": folder, **quick, **changes})


@pytest.fixture
def sqlite_settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """The embedded default: SQLite, with its tables, and local files."""
    shutil.copy(sqlite_template, tmp_path / "secateur.db")
    return make_settings(tmp_path)


@pytest.fixture
def postgres_settings(tmp_path: Path, postgres: PostgresServer, postgres_template: str) -> Iterator[Settings]:
    """PostgreSQL, with its tables, and local files."""
    url = postgres.create_database(postgres_template)
    yield make_settings(tmp_path, database_url=url, key_pepper="a test's")
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """The settings of either database: a test that takes this runs on both."""
    found: Settings = request.getfixturevalue(f"{request.param}_settings")
    return found


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Either database: a test that takes this runs on both."""
    opened = open_database(settings)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(sqlite_settings: Settings) -> Iterator[Database]:
    opened = open_database(sqlite_settings)
    yield opened
    opened.close()


def _file_storage(request: pytest.FixtureRequest) -> Settings:
    return make_settings(request.getfixturevalue("tmp_path"))


def _s3_storage(request: pytest.FixtureRequest) -> Settings:
    server: S3Server = request.getfixturevalue("s3")
    folder: Path = request.getfixturevalue("tmp_path")
    return make_settings(
        folder,
        storage_url=f"s3://{server.bucket}/{folder.name}",
        s3_endpoint=server.endpoint,
        s3_access_key_id=server.access_key_id,
        s3_secret_access_key=SecretStr(server.secret_access_key),
    )


STORAGE_SETTINGS: dict[str, Callable[[pytest.FixtureRequest], Settings]] = {"file": _file_storage, "s3": _s3_storage}
"""For each line of core.storage.STORAGES, settings that lead to it."""


@pytest.fixture(params=sorted(STORAGE_SETTINGS))
def storage(request: pytest.FixtureRequest) -> Storage:
    """Every store in turn."""
    return open_storage(STORAGE_SETTINGS[request.param](request))
