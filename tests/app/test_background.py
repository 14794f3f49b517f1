"""What the web process does beside answering goes on, whatever goes wrong once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app import background
from app.main import create_app
from app.services import Services
from core.settings import Settings


def test_a_bell_that_broke_is_rung_the_next_time(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    rung, broken = threading.Event(), threading.Event()

    def dispatch(*_arguments: object) -> None:
        if not broken.is_set():
            broken.set()
            raise ZeroDivisionError
        rung.set()

    monkeypatch.setattr(background, "dispatch", dispatch)
    services: Services = create_app(sqlite_settings).state.services

    async def two_jobs_are_written() -> bool:
        async with background.running(services):
            for happened in (broken, rung):
                services.job_written.set()
                await asyncio.to_thread(happened.wait, 5)
        await services.database.aclose()
        return rung.is_set()

    assert asyncio.run(two_jobs_are_written())
