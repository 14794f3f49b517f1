"""What a worker counts: waits, stages, ends of children and attempts, lost leases, each of them once."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx2
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import update

from core import jobs
from core.db import Database
from core.metrics import table
from core.metrics.words import Metric
from core.settings import Settings
from core.tables import Job
from core.tracing.carried import parent_of
from core.tracing.opening import open_tracing
from tests.collector import collecting
from tests.core.samples import read_job
from tests.servers import free_port
from tests.worker.conftest import is_over, submit, until, work_through
from tests.worker.test_processes import submit_to, working
from worker.run_job import run_next
from worker.slots import Slot
from worker.workplace import Workplace

Grown = Callable[..., float]

ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def grown() -> Grown:
    """Tells by how much a series has grown since the test began."""
    before = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
    }

    def by(metric: Metric, *labels: str, suffix: str = "") -> float:
        named = dict(zip(metric.labels, labels, strict=True))
        now = REGISTRY.get_sample_value(metric.name + suffix, named)
        assert now is not None, (metric.name, named)
        return now - before.get((metric.name + suffix, *sorted(named.items())), 0.0)

    return by


def test_a_good_job_is_counted_on_each_step(place: Workplace, slot: Slot, grown: Grown) -> None:
    work_through(place, slot)

    assert grown(table.SUBMITTED, "cpu") == 1
    assert grown(table.ENDED, "succeeded", "target_met") == 1
    assert (grown(table.ATTEMPTS, "validated"), grown(table.ATTEMPTS, "finished")) == (1, 1)
    for state in ("validating", "running"):
        assert grown(table.WAIT_SECONDS, state, "cpu", suffix="_count") == 1
    for command in ("inspect", "compress"):
        assert grown(table.START_SECONDS, command, suffix="_count") == 1
        assert grown(table.ENGINE_SECONDS, command, suffix="_count") == 1
        assert grown(table.ENGINE_RUNS, command, "done") == 1
    assert (grown(table.STAGE_SECONDS, "score", suffix="_count"), grown(table.ATTEMPTS, "crashed")) == (1, 0)


def test_the_wait_is_that_in_the_queue(place: Workplace, slot: Slot, grown: Grown) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir)
    assert run_next(place)
    with place.database.transaction() as session:
        queued_at = session.get_one(Job, job_id).queued_at
        assert queued_at is not None
        session.execute(update(Job).values(queued_at=queued_at.replace(year=queued_at.year - 1)))

    assert run_next(place, slot=slot)

    assert grown(table.WAIT_SECONDS, "running", "cpu", suffix="_sum") >= 364 * 24 * 3600
    assert grown(table.WAIT_SECONDS, "validating", "cpu", suffix="_sum") < 600


@pytest.mark.parametrize(
    ("behaviour", "ending", "code"),
    [("segfault", "crashed", "poison"), ("refuse", "refused", "nothing-to-cut"), ("eat_memory", "out-of-memory", None)],
)
def test_what_ends_a_child_is_counted(
    place: Workplace, slot: Slot, grown: Grown, behaviour: str, ending: str, code: str | None
) -> None:
    settings = place.settings.model_copy(update={"crash_limit": 1, "job_memory_bytes": 256 * 1024**2})
    place = Workplace(settings, place.database, place.storage, place.sandbox, place.engine)

    work_through(place, slot, compress=behaviour)

    assert grown(table.ENGINE_RUNS, "compress", ending) == 1
    assert grown(table.ERRORS, code or "out-of-memory") == 1
    assert grown(table.ENDED, "failed", "") == 1


def test_stages_that_a_stranger_makes_up_are_others(place: Workplace, slot: Slot, grown: Grown) -> None:
    work_through(place, slot, compress="chatter")

    assert grown(table.STAGE_SECONDS, "other", suffix="_count") == 2


def test_a_stage_that_was_cut_short_is_not_timed(place: Workplace, slot: Slot, grown: Grown) -> None:
    settings = place.settings.model_copy(update={"job_grace_seconds": -9.0})
    place = Workplace(settings, place.database, place.storage, place.sandbox, place.engine)

    work_through(place, slot, compress="sleep")

    assert grown(table.ENGINE_RUNS, "compress", "timeout") == 1
    assert grown(table.STAGE_SECONDS, "score", suffix="_count") == 0


def test_a_lease_that_another_has_taken_is_counted_as_lost(place: Workplace, slot: Slot, grown: Grown) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir, compress="sleep")
    assert run_next(place)
    limits, engine = jobs.Limits.of(place.settings), place.engine

    class Thief:
        """Runs the engine, but the job is given to another first."""

        @property
        def command(self) -> tuple[str, ...]:
            with place.database.transaction() as session:
                [lease] = jobs.overdue(session, gone=[place.worker_id])
                assert jobs.reap(session, lease, limits)
            return engine.command

        readable, environment = engine.readable, engine.environment

    robbed = Workplace(place.settings, place.database, place.storage, place.sandbox, Thief(), place.worker_id)  # type: ignore[arg-type]  # a program that does more
    assert run_next(robbed, slot=slot)

    assert grown(table.LEASES_LOST) == 1
    assert (grown(table.ATTEMPTS, "lost"), grown(table.ATTEMPTS, "finished")) == (1, 0)
    assert read_job(place.database, job_id).state == "queued"


def test_a_worker_process_shows_its_metrics_and_sends_its_spans(sqlite_settings: Settings, sqlite: Database) -> None:
    port = free_port()
    with collecting() as collector:
        settings = sqlite_settings.model_copy(update={"admin_port": port, "otlp_endpoint": collector.url})
        asking = open_tracing(settings, "web")
        with asking.tracer.start_as_current_span("asked", parent_of(ASKED)):
            job_id = submit_to(settings, sqlite)
        with working(settings):
            until(lambda: is_over(sqlite, job_id))
            text = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
        asking.close()

    ended = re.search(
        r'^secateur_jobs_ended_total\{outcome="target_met",state="succeeded"\} (\S+)$', text, re.MULTILINE
    )
    assert ended is not None
    assert float(ended[1]) == 1
    assert {span.service for span in collector.named("job.attempt")} == {"secateur-worker"}
    assert {span.trace_id for span in collector.spans} == {ASKED.split("-")[1]}
    assert {span.parent_id for span in collector.named("job.attempt")} == {collector.one("asked").span_id}
