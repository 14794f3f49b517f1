"""Each deployment is started once; every test of this folder runs on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from client import Job
from tests.conftest import group_of
from tests.end_to_end import samples
from tests.end_to_end.deployments import Deployment, embedded, scale_out
from tests.end_to_end.words import User


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hold every test of a deployment to that deployment's process: another one would start it again, for a minute."""
    for item in items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        assert group_of(item.nodeid) == params.get("deployment", group_of(item.nodeid)), item.nodeid


@pytest.fixture(scope="session", params=["embedded", "scale_out"])
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        with embedded(folder) as running:
            yield running
    else:
        servers = [request.getfixturevalue(name) for name in ("postgres", "broker_url", "s3")]
        with scale_out(folder, *servers) as running:
            yield running


@pytest.fixture(scope="session")
def http(deployment: Deployment) -> Iterator[httpx2.Client]:
    """Plain HTTP with the key of whoever runs the service, spread over its web processes."""
    with deployment.http() as client:
        yield client


@pytest.fixture(scope="session")
def user(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Somebody with a key, a network and pictures."""
    folder: Path = tmp_path_factory.mktemp("user")
    with deployment.client() as client:
        user = User(client, folder)
        user.model_id = user.upload_model("network.onnx", samples.residual_network())
        user.dataset_id = user.upload_dataset("pictures.zip", samples.pictures())
        yield user


@pytest.fixture(scope="session")
def finished(user: User) -> Job:
    """The usual job, at its end."""
    return user.wait(user.submit())
