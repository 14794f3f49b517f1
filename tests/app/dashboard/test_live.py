"""The stream behind an open job page: whole parts, escaped; an end when the job ends, or the session does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app.dashboard.live import PARTS
from app.services import Services
from core.tables import ApiKey
from tests.app.dashboard.conftest import sign_in
from tests.app.dashboard.samples import add_model, beat, finish_job, sample_report, start_job, submit_job


@pytest.fixture
def browser(address: str, admin_key: str) -> Iterator[httpx2.Client]:
    """A signed-in client that can read a stream while it grows."""
    with httpx2.Client(base_url=address, timeout=30) as client:
        sign_in(client, admin_key)
        yield client


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_stream_starts_with_every_part_and_goes_on_with_what_changes(
    browser: httpx2.Client, services: Services, tmp_path: Path
) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)

    with browser.stream("GET", f"/admin/jobs/{job_id}/stream") as answer:
        events = events_of(answer.iter_lines())
        first = next(events)
        beat(services.database, claim, "score", 0.31, "<b>unit 7</b>")
        second = next(events)
        finish_job(services.database, services.storage, claim, tmp_path, sample_report())
        rest = list(events)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (first[0], set(first[1])) == ("parts", set(PARTS))
    assert "31.0 %" in second[1]["progress"]
    assert "&lt;b&gt;unit 7" in second[1]["progress"]
    assert rest[-1] == ("end", {})


def test_a_revoked_key_ends_its_streams(browser: httpx2.Client, services: Services) -> None:
    job_id = submit_job(services.database, add_model(services.database))

    with browser.stream("GET", f"/admin/jobs/{job_id}/stream") as answer:
        events = events_of(answer.iter_lines())
        next(events)
        with services.database.transaction() as session:
            for row in session.query(ApiKey):
                row.revoked_at = row.created_at
        rest = list(events)

    assert rest == []


def test_the_stream_of_a_job_that_is_over_ends_at_once(admin: TestClient, services: Services, tmp_path: Path) -> None:
    job_id = submit_job(services.database, add_model(services.database))
    finish_job(services.database, services.storage, start_job(services.database, job_id), tmp_path, sample_report())

    answer = admin.get(f"/admin/jobs/{job_id}/stream")

    assert [name for name, _ in events_of(iter(answer.text.splitlines()))] == ["end"]
