"""A running fake service and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client import Client
from tests.client.fake_service import KEY, FakeService, serve


@pytest.fixture
def service() -> Iterator[FakeService]:
    with serve(FakeService()) as running:
        yield running


@pytest.fixture
def client(service: FakeService) -> Iterator[Client]:
    with Client(service.url, KEY, patience_seconds=5) as found:
        yield found
