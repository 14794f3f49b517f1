"""A sender over either database, and a clock that the test holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.db import Database
from core.settings import Settings
from sender.sending import Sender
from tests.core.webhooks.samples import PEPPER, Clock

LOOPBACK = ["127.0.0.0/8", "::1/128"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def local(settings: Settings) -> Settings:
    """The settings of either database, with the loopback interface allowed."""
    return Settings.model_validate({**settings.model_dump(), "webhook_private_networks": LOOPBACK})


@pytest.fixture
def new_sender(database: Database, local: Settings, clock: Clock) -> Callable[..., Sender]:
    """Makes senders by the test's clock, without jitter; each change is one of the settings."""

    def make(**changes: object) -> Sender:
        changed = Settings.model_validate({**local.model_dump(), **changes})
        return Sender(database, changed, PEPPER, now=clock, chance=lambda: 0.5)

    return make
