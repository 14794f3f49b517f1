"""Projects, keys and usage from the SDK and the prompt, against a running service."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from client import Client, Refused
from client.cli import main
from tests.app.conftest import quiet_log  # noqa: F401  # a fixture: the service's log is not what a command prints
from tests.app.running import Service, running_service
from tests.conftest import make_settings


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    shutil.copy(sqlite_template, folder / "secateur.db")
    with running_service(make_settings(folder)) as running:
        yield running


@pytest.fixture
def sdk(real: Service) -> Iterator[Client]:
    with Client(real.url, real.key, patience_seconds=5) as client:
        yield client


def run(real: Service, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--server", real.url, "--key", real.key])


def is_refused_soon(client: Client) -> bool:
    """Say whether a key that was taken back is refused within 5 s: a process remembers good keys for up to one."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            client.projects.usage()
        except Refused:
            return True
        time.sleep(0.05)
    return False


def test_a_projects_key_opens_that_project_alone_until_it_is_taken_back(real: Service, sdk: Client) -> None:
    project = sdk.projects.create("vision", jobs_running=2)
    made = sdk.keys.create("ci", scopes=["jobs:read"], project_id=project.id)

    assert made.secret is not None
    assert made.secret not in repr(made)
    with Client(real.url, made.secret, patience_seconds=5) as theirs:
        assert theirs.projects.usage()["project_id"] == project.id
        assert theirs.projects.usage()["limits"]["jobs_running"] == 2
        with pytest.raises(Refused, match="scope"):
            theirs.keys.list()

        sdk.keys.revoke(made.id, project_id=project.id)

        assert is_refused_soon(theirs)
    (listed,) = [key for key in sdk.keys.list(project_id=project.id) if key.id == made.id]
    assert (listed.secret, listed.revoked_at is not None) == (None, True)


def test_limits_are_set_lifted_and_left_alone_by_name(sdk: Client) -> None:
    project = sdk.projects.create("limits", jobs_running=2, retention_days=30)

    changed = sdk.projects.update(project.id, name="renamed", jobs_running=None, jobs_waiting=5)

    limits = {name: limit for name, limit in changed.limits.items() if limit is not None}
    assert (changed.name, limits) == ("renamed", {"retention_days": 30, "jobs_waiting": 5})
    assert sdk.projects.get(project.id) == changed
    sdk.projects.delete(project.id)
    assert project.id not in [each.id for each in sdk.projects.list(page_size=1)]


def test_a_key_ends_when_it_was_told_to(sdk: Client) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)

    made = sdk.keys.create("short", expires_at=moment)

    assert datetime.fromisoformat(made.expires_at or "") == moment


def test_the_same_at_the_prompt(real: Service) -> None:
    made = json.loads(run(real, "projects", "create", "prompt", "--limit", "stored_bytes=5000000", "--json").stdout)
    key = run(real, "keys", "create", "ci", "--project", made["id"], "--scope", "read").stdout
    changed = run(real, "projects", "change", made["id"], "--limit", "stored_bytes=none", "--limit", "jobs_waiting=7")

    assert "key, shown this once: sct_" in key
    assert "jobs_waiting 7" in changed.stdout
    assert "stored_bytes" not in changed.stdout
    assert made["id"] in run(real, "projects", "list").stdout
    assert key.split()[0] in run(real, "keys", "list", "--project", made["id"]).stdout
    assert "7" in run(real, "usage", "--project", made["id"]).stdout
    assert run(real, "keys", "revoke", key.split()[0], "--project", made["id"]).exit_code == 0
    assert "taken back" in run(real, "keys", "list", "--project", made["id"]).stdout
    assert run(real, "projects", "delete", made["id"]).exit_code == 0


@pytest.mark.parametrize("text", ["jobs_running", "=2", "jobs_running=two", "jobs_running=-1", "jobs_running="])
def test_what_is_no_limit_is_told_before_anything_is_sent(real: Service, text: str) -> None:
    found = run(real, "projects", "create", "refused", "--limit", text)

    assert found.exit_code == 2
    assert "is no limit" in found.stderr
