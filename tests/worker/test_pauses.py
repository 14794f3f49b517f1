"""A pause stops the child and keeps its checkpoint; the next run goes on from there."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from core import jobs
from core.tables import Attempt
from tests.core.samples import PROJECT_ID, read_job
from tests.worker.conftest import is_over, submit, until
from worker.run_job import run_next
from worker.slots import Slot
from worker.sweep import Caretaker
from worker.workplace import Workplace


def paused_job(place: Workplace, slot: Slot, behaviour: str) -> str:
    """Pause a job in the middle of its run, and wait until its worker has let it go."""
    job_id = submit(place.database, place.storage, place.settings.data_dir, compress=behaviour)
    run_next(place)
    worker = threading.Thread(target=run_next, args=(place,), kwargs={"slot": slot})
    worker.start()
    until(lambda: read_job(place.database, job_id).fraction > 0)
    with place.database.transaction() as session:
        jobs.request_pause(session, PROJECT_ID, job_id)
    worker.join(60)
    assert not worker.is_alive()
    return job_id


def test_a_paused_job_goes_on_from_its_checkpoint(place: Workplace, slot: Slot) -> None:
    job_id = paused_job(place, slot, "sleep_once")
    job = read_job(place.database, job_id)
    assert (job.state, job.lease_owner, job.attempt) == ("paused", None, 2)
    assert not run_next(place, slot=slot)

    with place.database.transaction() as session:
        jobs.resume(session, PROJECT_ID, job_id)
    assert run_next(place, slot=slot)

    ended = read_job(place.database, job_id)
    assert (ended.state, ended.attempt, ended.crash_count, ended.interrupt_count) == ("succeeded", 3, 0, 0)
    with place.database.transaction() as session:
        endings = session.scalars(select(Attempt.ending).where(Attempt.job_id == job_id).order_by(Attempt.attempt))
        assert list(endings) == ["validated", "paused", "finished"]


def test_the_sweep_keeps_the_checkpoint_of_a_paused_job(
    place: Workplace, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = paused_job(place, slot, "sleep_once")
    caretaker = Caretaker(place, None, ["cpu"])  # type: ignore[arg-type]  # nothing is rung here
    monkeypatch.setattr("core.sweep.dispatch", lambda *_: 0)

    caretaker.sweep()

    assert (place.scratch / job_id / "checkpoint" / "mark").exists()
    with place.database.transaction() as session:
        jobs.request_cancel(session, PROJECT_ID, job_id)
    assert is_over(place.database, job_id)
    caretaker.sweep()
    assert not (place.scratch / job_id).exists()


def test_a_child_that_ignores_the_pause_is_killed(place: Workplace, slot: Slot) -> None:
    job_id = paused_job(place, slot, "ignore_term")

    assert read_job(place.database, job_id).state == "paused"
