"""The beat: it keeps a lease while the database answers, and gives the job up when it does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core import jobs
from core.db import Database
from tests.core.samples import PROJECT_ID, read_job, running_claim
from tests.worker.conftest import until
from worker.drain import Drain
from worker.heart import Heart


class Unreachable(Database):
    """A database that has gone away."""

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        raise OperationalError("SELECT", {}, ConnectionError("gone"))
        yield  # a context manager, although nobody gets so far


def test_a_beating_worker_keeps_its_job_longer_than_one_lease(sqlite: Database) -> None:
    claim = running_claim(sqlite, lease_seconds=0.6)

    with Heart(sqlite, claim, Drain()) as heart:
        time.sleep(1.0)
        assert heart.why_stop() is None

    with sqlite.transaction() as session:
        assert jobs.overdue(session) == []


def test_progress_reaches_the_row(sqlite: Database) -> None:
    claim = running_claim(sqlite, lease_seconds=3)

    with Heart(sqlite, claim, Drain()) as heart:
        heart.tell(jobs.Progress("score", 0.25))
        until(lambda: read_job(sqlite, claim.job_id).fraction == 0.25)


def test_a_worker_that_cannot_beat_gives_the_job_up_before_its_lease_ends(sqlite: Database) -> None:
    claim = replace(running_claim(sqlite), lease_seconds=1.2)
    began = time.monotonic()

    with Heart(Unreachable(sqlite.url), claim, Drain()) as heart:
        until(lambda: heart.why_stop() == "fenced")

        assert time.monotonic() - began >= 0.9
        assert not heart.wait(60)


def test_the_wish_to_cancel_comes_with_the_beat(sqlite: Database) -> None:
    claim = running_claim(sqlite, lease_seconds=1)
    with sqlite.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, claim.job_id)

    with Heart(sqlite, claim, Drain()) as heart:
        until(lambda: heart.why_stop() == "cancelled")


def test_a_job_that_was_given_to_another_is_known_by_the_next_beat(sqlite: Database) -> None:
    claim = running_claim(sqlite, lease_seconds=1)

    with Heart(sqlite, replace(claim, attempt=claim.attempt - 1), Drain()) as heart:
        until(lambda: heart.why_stop() == "fenced")


def test_a_worker_that_drains_says_so(sqlite: Database) -> None:
    drain = Drain()

    with Heart(sqlite, running_claim(sqlite), drain) as heart:
        assert heart.wait(0.01)
        drain.begin()
        assert heart.why_stop() == "drained"


def test_a_worker_that_drains_still_waits_between_its_tries_to_write(sqlite: Database) -> None:
    drain = Drain()
    drain.begin()
    tries = 0

    with Heart(Unreachable(sqlite.url), replace(running_claim(sqlite), lease_seconds=1.2), drain) as heart:
        while heart.wait(0.25, even_when_stopped=True):
            tries += 1

        assert heart.why_stop() == "fenced"
    assert tries <= 5


def test_stages_that_were_over_between_two_beats_are_told_too(sqlite: Database) -> None:
    claim = running_claim(sqlite, lease_seconds=3)

    with Heart(sqlite, claim, Drain()) as heart:
        for stage in ("load", "normalise", "units", "score"):
            heart.tell(jobs.Progress(stage, 0.1, stage_fraction=0.5))
        until(lambda: read_job(sqlite, claim.job_id).stage == "score")
        heart.tell(jobs.Progress("search", 0.2, stage_fraction=0.0))
        until(lambda: read_job(sqlite, claim.job_id).stage == "search")

    stages = read_job(sqlite, claim.job_id).stages or []
    assert [(stage["name"], stage["fraction"]) for stage in stages] == [
        ("load", 1.0),
        ("normalise", 1.0),
        ("units", 1.0),
        ("score", 1.0),
        ("search", 0.0),
    ]
