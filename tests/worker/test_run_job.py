"""One job from claim to outcome, with an engine that does good, evil and nothing."""

from __future__ import annotations

import asyncio
import errno
import threading
from dataclasses import replace

import pytest
from sqlalchemy import select

from core import jobs
from core.problems import JOB_ERRORS
from core.queries import artifacts_statement, events_statement
from core.tables import Attempt, Job, StoredModel
from tests.core.samples import MODEL_ID, PROJECT_ID, read_job
from tests.worker.conftest import is_over, submit, until, work_through
from worker.drain import Drain
from worker.run_job import WorkerFault, run_next
from worker.slots import Slot
from worker.workplace import Workplace


def artifact_contents(place: Workplace, job_id: str) -> dict[str, bytes]:
    async def read(sha256: str) -> bytes:
        return b"".join([chunk async for chunk in place.storage.stream(sha256)])

    rows = place.database.read_all(artifacts_statement(project_id=PROJECT_ID, job_id=job_id))
    return {row["name"]: asyncio.run(read(row["sha256"])) for row in rows}


def attempts_of(place: Workplace, job: Job) -> list[str | None]:
    with place.database.transaction() as session:
        return list(session.scalars(select(Attempt.ending).where(Attempt.job_id == job.id).order_by(Attempt.attempt)))


def test_a_good_job_succeeds_with_its_files(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot)

    assert (job.state, job.outcome, job.error, job.fraction) == ("succeeded", "target_met", None, 1.0)
    assert job.report is not None
    assert job.report["summary"] == "as told"
    assert artifact_contents(place, job.id).keys() == {"model.onnx", "report.json"}
    assert artifact_contents(place, job.id)["model.onnx"] == b"a smaller model"
    assert attempts_of(place, job) == ["validated", "finished"]
    assert list((place.scratch / job.id).iterdir()) == [place.scratch / job.id / "checkpoint"]
    with place.database.transaction() as session:
        assert session.get_one(StoredModel, MODEL_ID).analysis == {
            "inputs": [],
            "operators": {"Conv": 3},
            "parameters": 12,
        }


def test_each_network_of_a_front_becomes_an_artifact(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot, compress="front")

    rows = place.database.read_all(artifacts_statement(project_id=PROJECT_ID, job_id=job.id))
    assert {row["name"]: row["role"] for row in rows} == {
        "model.onnx": "model",
        "report.json": "report",
        "front.svg": "plot",
        "candidates/01.onnx": "candidate",
        "candidates/02.onnx": "candidate",
    }
    assert artifact_contents(place, job.id)["candidates/02.onnx"] == b"candidates/02.onnx"


def test_a_link_in_a_candidates_place_is_never_published(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot, compress="linked_front")

    assert job.state == "failed"
    assert artifact_contents(place, job.id) == {}


def test_the_story_of_a_job_is_told_without_gaps(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot)

    events = place.database.read_all(events_statement(project_id=PROJECT_ID, job_id=job.id))

    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    states = [event["data"]["state"] for event in events if event["type"] == "job.state"]
    assert states == ["submitted", "validating", "queued", "running", "finalizing", "succeeded"]
    assert events[-1]["data"]["outcome"] == "target_met"


def test_a_refused_model_is_rejected_with_the_engines_words(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot, inspect="refuse")

    assert job.state == "rejected"
    assert job.error is not None
    assert (job.error["code"], job.error["detail"], job.error["where"]) == ("nothing-to-cut", "Found no unit.", "graph")


def test_an_engine_that_cannot_finish_fails_with_its_words(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot, compress="refuse")

    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "nothing-to-cut"
    assert job.error.keys() >= {"type", "title", "status", "detail", "code", "retryable", "errors"}


@pytest.mark.parametrize("verb", ["inspect", "compress"])
def test_what_kills_its_process_every_time_is_given_up_as_poison(place: Workplace, slot: Slot, verb: str) -> None:
    job = work_through(place, slot, **{verb: "segfault"})

    assert (job.state, job.crash_count) == ("failed", place.settings.crash_limit)
    assert job.error is not None
    assert job.error["code"] == "poison"
    assert "Segmentation fault" in job.error["detail"]
    assert "about to fall" in job.error["detail"]
    assert attempts_of(place, job).count("crashed") == place.settings.crash_limit


def test_a_job_that_crashed_once_is_resumed(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot, compress="segfault_once")

    assert (job.state, job.crash_count, job.attempt) == ("succeeded", 1, 3)
    assert artifact_contents(place, job.id)["attempt-2.log"] == b"about to fall\n"


def test_too_much_memory_is_named(place: Workplace, slot: Slot) -> None:
    small = place.settings.model_copy(update={"job_memory_bytes": 512 * 1024**2})
    place = Workplace(small, place.database, place.storage, place.sandbox, place.engine)

    job = work_through(place, slot, compress="eat_memory")

    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "out-of-memory"
    assert job.error["status"] == JOB_ERRORS["out-of-memory"][1]


def test_too_much_time_is_named(place: Workplace, slot: Slot) -> None:
    hasty = place.settings.model_copy(update={"inspect_seconds": 0.5})
    place = Workplace(hasty, place.database, place.storage, place.sandbox, place.engine)

    job = work_through(place, slot, inspect="ignore_term")

    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "job-timeout"


def test_what_a_hostile_engine_says_is_stored_tame(place: Workplace, slot: Slot) -> None:
    job = work_through(place, slot, compress="chatter")

    assert job.state == "succeeded"
    assert job.report is not None
    assert job.report["text"] == "?"
    assert job.fraction == 1.0


@pytest.mark.parametrize("behaviour", ["link_out", "no_report", "endless_line"])
def test_an_engine_that_breaks_the_agreement_delivers_nothing(place: Workplace, slot: Slot, behaviour: str) -> None:
    job = work_through(place, slot, compress=behaviour)

    assert job.state == "failed"
    assert "model.onnx" not in artifact_contents(place, job.id)


def test_a_child_left_behind_does_not_hold_the_worker(place: Workplace, slot: Slot) -> None:
    assert work_through(place, slot, compress="leave_a_child").state == "succeeded"


@pytest.mark.parametrize("behaviour", ["sleep", "ignore_term"])
def test_a_running_job_is_cancelled_and_its_child_is_gone(place: Workplace, slot: Slot, behaviour: str) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir, compress=behaviour)
    run_next(place)
    worker = threading.Thread(target=run_next, args=(place,), kwargs={"slot": slot})
    worker.start()
    until(lambda: read_job(place.database, job_id).fraction > 0)

    with place.database.transaction() as session:
        assert jobs.request_cancel(session, PROJECT_ID, job_id).state == "cancelling"
    worker.join()

    assert read_job(place.database, job_id).state == "cancelled"
    assert artifact_contents(place, job_id) == {}


def test_a_drained_worker_gives_its_job_back(place: Workplace, slot: Slot) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir, compress="sleep_once")
    run_next(place)
    worker = threading.Thread(target=run_next, args=(place,), kwargs={"slot": slot})
    worker.start()
    until(lambda: read_job(place.database, job_id).fraction > 0)

    place.drain.begin()
    worker.join()

    job = read_job(place.database, job_id)
    assert (job.state, job.interrupt_count, job.crash_count) == ("queued", 1, 0)
    another = replace(place, drain=Drain())
    until(lambda: run_next(another, slot=slot) and is_over(place.database, job_id))  # a slow machine may lose a lease
    assert read_job(place.database, job_id).state == "succeeded"


def test_a_hurried_worker_waits_for_no_child_and_gives_its_job_back(place: Workplace, slot: Slot) -> None:
    deaf = place.settings.model_copy(update={"stop_grace_seconds": 600.0})
    patient = replace(place, settings=deaf, drain=Drain(grace_seconds=600))
    job_id = submit(place.database, place.storage, place.settings.data_dir, compress="ignore_term")
    run_next(patient)
    worker = threading.Thread(target=run_next, args=(patient,), kwargs={"slot": slot})
    worker.start()
    until(lambda: read_job(place.database, job_id).fraction > 0)

    patient.drain.begin()
    patient.drain.hurry()
    worker.join(60)

    assert not worker.is_alive()
    job = read_job(place.database, job_id)
    assert (job.state, job.interrupt_count, job.crash_count) == ("queued", 1, 0)


def test_a_worker_that_lost_its_job_stops_its_child_and_writes_nothing(place: Workplace, slot: Slot) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir, compress="sleep")
    run_next(place)
    worker = threading.Thread(target=run_next, args=(place,), kwargs={"slot": slot})
    worker.start()
    until(lambda: read_job(place.database, job_id).fraction > 0)

    with place.database.transaction() as session:
        (lease,) = jobs.overdue(session, [place.worker_id])
        assert jobs.reap(session, lease, jobs.Limits(3, 3, 0))
    worker.join()

    job = read_job(place.database, job_id)
    assert (job.state, job.attempt, job.crash_count) == ("queued", 2, 1)


def test_a_worker_that_cannot_even_begin_gives_the_job_back(place: Workplace) -> None:
    place.scratch.write_bytes(b"in the way")
    job_id = submit(place.database, place.storage, place.settings.data_dir)

    with pytest.raises(WorkerFault):
        run_next(place)

    job = read_job(place.database, job_id)
    assert (job.state, job.crash_count, job.fault_count) == ("submitted", 0, 1)


def test_a_worker_whose_disk_is_full_ends_the_job_by_that_name(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = place.settings.model_copy(update={"fault_limit": 1})
    place = Workplace(hasty, place.database, place.storage, place.sandbox, place.engine)

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(place.storage, "fetch", fill)
    job_id = submit(place.database, place.storage, place.settings.data_dir)

    with pytest.raises(WorkerFault):
        run_next(place)

    job = read_job(place.database, job_id)
    assert job.state == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["retryable"]) == ("storage-unavailable", True)


def test_an_outcome_that_cannot_be_written_gives_the_job_back(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir)

    def refuse(_session: object, claim: jobs.Claim, **_: object) -> None:
        raise jobs.StateConflict(claim.job_id, "validating", "succeeded")

    monkeypatch.setattr(jobs, "validated", refuse)

    with pytest.raises(WorkerFault):
        run_next(place)

    job = read_job(place.database, job_id)
    assert (job.state, job.lease_owner, job.fault_count) == ("submitted", None, 1)


def test_bytes_that_are_gone_fail_the_job_by_name(place: Workplace, slot: Slot) -> None:
    job_id = submit(place.database, place.storage, place.settings.data_dir)
    with place.database.transaction() as session:
        place.storage.delete(session.get_one(StoredModel, MODEL_ID).sha256)

    run_next(place)

    job = read_job(place.database, job_id)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "internal-error"
