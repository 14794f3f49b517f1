"""A sender over either database, and a clock that the test holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from core.db import Database
from core.settings import Settings
from sender.sending import Sender
from tests.core.webhooks.samples import PEPPER

LOOPBACK = ["127.0.0.0/8", "::1/128"]


class Clock:
    """A moment that only the test moves; it begins after all rows that a test writes."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(hours=1)

    def __call__(self, _session: Session) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


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
