"""The laws of a job's state: what may follow what, who may write it, and what happens to whom is lost."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from core import jobs
from core.db import Database, utc_now
from core.jobs import MOVES, TERMINAL, Delivered, Progress
from core.jobs.moves import move
from core.jobs.record import MESSAGE_LENGTH, PROGRESS_EVENTS
from core.problems import job_problem
from core.queries import (
    artifacts_statement,
    events_statement,
    job_statement,
    jobs_in_state_statement,
    jobs_page_statement,
)
from core.tables import Attempt, Blob, Event, Job, JobState, Outbox
from tests.core.samples import (
    LIMITS,
    MODEL_ID,
    PROJECT_ID,
    WORKER_ID,
    claim_job,
    read_job,
    running_claim,
    state_of,
    submit_job,
)

ERROR = job_problem("internal-error", "as a test wanted it")
MODEL = Delivered("model.onnx", "model", "application/octet-stream", "a" * 64, 4)


def do(database: Database, work: Callable[[Session], object]) -> None:
    with database.transaction() as session:
        work(session)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_every_legal_move_succeeds_and_every_other_is_refused(
    sqlite: Database, before: JobState, after: JobState
) -> None:
    job_id = submit_job(sqlite)
    do(sqlite, lambda session: session.execute(update(Job).values(state=before)))

    def try_it(session: Session) -> None:
        move(session, session.get_one(Job, job_id), after, utc_now(session))

    if after in MOVES[before]:
        do(sqlite, try_it)
        assert state_of(sqlite, job_id) == after
    else:
        with pytest.raises(jobs.StateConflict):
            do(sqlite, try_it)
        assert state_of(sqlite, job_id) == before


def reachable_from(start: JobState) -> set[JobState]:
    reached = {start}
    while not reached >= (wider := reached.union(*(MOVES[state] for state in reached))):
        reached = wider
    return reached


def test_every_state_can_be_reached_and_every_life_can_end() -> None:
    assert reachable_from(JobState.SUBMITTED) == set(JobState)
    assert all(reachable_from(state) & TERMINAL for state in JobState)


def test_a_new_job_has_its_row_its_event_and_its_bell_at_once(database: Database) -> None:
    job_id = submit_job(database)

    with database.transaction() as session:
        assert [event.data["state"] for event in session.scalars(select(Event))] == ["submitted"]
        assert [bell.payload for bell in session.scalars(select(Outbox))] == [{"job_id": job_id, "device": "cpu"}]


def test_a_submission_that_is_rolled_back_leaves_nothing(database: Database) -> None:
    submit_job(database)

    def submit_and_fall(session: Session) -> None:
        jobs.submit(
            session, project_id=PROJECT_ID, model_id=MODEL_ID, dataset_id=None, recipe={}, labels={}, device="cpu"
        )
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do(database, submit_and_fall)

    with database.transaction() as session:
        for table in (Job, Event, Outbox):
            assert len(session.scalars(select(table)).all()) == 1


def test_two_workers_never_get_the_same_job(database: Database) -> None:
    wanted = {submit_job(database) for _ in range(12)}
    got: list[str] = []

    def work(worker_id: str) -> None:
        while True:
            with database.transaction() as session:
                claim = jobs.claim(session, worker_id=worker_id, devices=[], lease_seconds=60)
            if claim is None:
                return
            got.append(claim.job_id)

    threads = [threading.Thread(target=work, args=(f"wrk_{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) == sorted(wanted)


def test_the_oldest_job_of_the_device_comes_first(database: Database) -> None:
    first, gpu = submit_job(database), submit_job(database, device="gpu")
    second = submit_job(database)
    for _ in range(3):
        inspection = claim_job(database, devices=[])
        do(database, lambda session, inspection=inspection: jobs.validated(session, inspection, {}))  # type: ignore[misc]

    assert [claim_job(database, validate=False).job_id for _ in range(2)] == [first, second]
    assert state_of(database, gpu) == "queued"


def test_an_inspection_is_kept_with_the_model_and_the_job_queues(database: Database) -> None:
    claim = running_claim(database)

    job = read_job(database, claim.job_id)
    assert (job.state, job.attempt, job.lease_owner) == ("running", 2, WORKER_ID)
    assert job.submitted_at <= job.validating_at <= job.queued_at <= job.running_at  # type: ignore[operator]


def test_a_job_that_succeeds_shows_its_artifacts_before_its_end(database: Database) -> None:
    claim = running_claim(database)
    do(database, lambda session: jobs.finalize(session, claim))

    do(database, lambda s: jobs.finish(s, claim, outcome="target_met", report={"a": 1}, delivered=[MODEL]))

    job = read_job(database, claim.job_id)
    assert (job.state, job.outcome, job.report, job.fraction) == ("succeeded", "target_met", {"a": 1}, 1.0)
    events = database.read_all(events_statement(project_id=PROJECT_ID, job_id=job.id))
    assert [event["type"] for event in events][-2:] == ["job.artifact", "job.state"]
    artifacts = database.read_all(artifacts_statement(project_id=PROJECT_ID, job_id=job.id))
    assert [artifact["name"] for artifact in artifacts] == ["model.onnx"]


WRITES: dict[str, Callable[[Session, jobs.Claim], object]] = {
    "finalize": jobs.finalize,
    "finish": lambda session, claim: jobs.finish(session, claim, outcome="no_gain", report={}, delivered=[MODEL]),
    "fail": lambda session, claim: jobs.fail(session, claim, ERROR),
    "crashed": lambda session, claim: jobs.crashed(session, claim, LIMITS, detail="fell"),
    "release": lambda session, claim: jobs.release(session, claim, LIMITS),
    "cancelled": jobs.cancelled,
    "reject": lambda session, claim: jobs.reject(session, claim, ERROR),
    "validated": lambda session, claim: jobs.validated(session, claim, {}),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_worker_that_was_given_up_for_dead_can_write_nothing(database: Database, write: str) -> None:
    stale = running_claim(database)
    lose(database, stale)
    fresh = claim_job(database, worker_id="wrk_other")
    before = read_job(database, stale.job_id)

    with pytest.raises(jobs.LeaseLost):
        do(database, lambda session: WRITES[write](session, stale))

    after = read_job(database, stale.job_id)
    assert fresh.attempt == stale.attempt + 1
    assert (after.version, after.state, after.lease_owner) == (before.version, "running", "wrk_other")
    with database.transaction() as session:
        assert not jobs.beat(session, stale).still_mine
        assert jobs.beat(session, fresh).still_mine
        assert session.get(Blob, MODEL.sha256) is None


def lose(database: Database, claim: jobs.Claim) -> None:
    """Take the job away as the sweep does when the worker's process is gone."""
    with database.transaction() as session:
        (lease,) = jobs.overdue(session, [claim.worker_id])
        assert jobs.reap(session, lease, LIMITS)


def test_a_lease_runs_out_by_the_databases_clock(database: Database) -> None:
    claim = running_claim(database, lease_seconds=60)
    with database.transaction() as session:
        assert jobs.overdue(session) == []
        session.execute(update(Job).values(lease_expires_at=utc_now(session) - timedelta(seconds=1)))

    with database.transaction() as session:
        (lease,) = jobs.overdue(session)
        jobs.reap(session, lease, LIMITS)

    assert state_of(database, claim.job_id) == "queued"


def test_a_beat_that_came_in_time_saves_the_lease(database: Database) -> None:
    claim = running_claim(database)
    with database.transaction() as session:
        (seen,) = jobs.overdue(session, [WORKER_ID])
        jobs.beat(session, claim)

        assert not jobs.reap(session, seen, LIMITS)

    assert state_of(database, claim.job_id) == "running"


@pytest.mark.parametrize("code", ["poison", "worker-lost"])
def test_a_job_that_crashes_too_often_is_given_up(database: Database, code: str) -> None:
    claim = running_claim(database)

    for crash in range(1, LIMITS.crash_limit + 1):
        if code == "poison":
            do(database, lambda session, claim=claim: jobs.crashed(session, claim, LIMITS, detail="signal 11"))  # type: ignore[misc]
        else:
            lose(database, claim)
        assert read_job(database, claim.job_id).crash_count == crash
        if crash < LIMITS.crash_limit:
            claim = claim_job(database)

    job = read_job(database, claim.job_id)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == code


def test_after_a_crash_a_job_rests_before_it_is_tried_again(database: Database) -> None:
    claim = running_claim(database)
    patient = jobs.Limits(crash_limit=3, interrupt_limit=3, retry_seconds=3600)

    do(database, lambda session: jobs.crashed(session, claim, patient, detail="signal 11"))

    with database.transaction() as session:
        assert jobs.claim(session, worker_id=WORKER_ID, devices=["cpu"], lease_seconds=60) is None


def test_a_worker_that_stops_costs_the_job_nothing_until_it_happens_too_often(database: Database) -> None:
    claim = running_claim(database)
    for _ in range(LIMITS.interrupt_limit):
        do(database, lambda session, claim=claim: jobs.release(session, claim, LIMITS))  # type: ignore[misc]
        assert read_job(database, claim.job_id).crash_count == 0
        claim = claim_job(database)

    do(database, lambda session: jobs.release(session, claim, LIMITS))

    assert state_of(database, claim.job_id) == "failed"


def test_a_waiting_job_is_cancelled_at_once_and_twice_is_once(database: Database) -> None:
    job_id = submit_job(database)

    for _ in range(2):
        with database.transaction() as session:
            assert jobs.request_cancel(session, PROJECT_ID, job_id).state == "cancelled"

    assert read_job(database, job_id).version == 2


@pytest.mark.parametrize("write", WRITES)
def test_a_job_that_is_being_cancelled_ends_cancelled_whatever_comes_of_it(database: Database, write: str) -> None:
    claim = running_claim(database)
    for _ in range(2):
        do(database, lambda session: jobs.request_cancel(session, PROJECT_ID, claim.job_id))
    with database.transaction() as session:
        assert jobs.beat(session, claim).cancel_requested

    do(database, lambda session: WRITES[write](session, claim))

    if write == "finalize":
        assert state_of(database, claim.job_id) == "cancelling"
        do(database, lambda session: jobs.cancelled(session, claim))
    job = read_job(database, claim.job_id)
    assert (job.state, job.outcome, job.report, job.error) == ("cancelled", None, None, None)
    assert database.read_all(artifacts_statement(project_id=PROJECT_ID, job_id=job.id)) == []


def test_a_job_that_is_being_cancelled_may_be_interrupted_once_too_often(database: Database) -> None:
    claim = running_claim(database)
    do(database, lambda session: jobs.request_cancel(session, PROJECT_ID, claim.job_id))

    do(database, lambda session: jobs.release(session, claim, jobs.Limits(3, interrupt_limit=0, retry_seconds=0)))

    assert state_of(database, claim.job_id) == "cancelled"


def test_a_cancelled_job_whose_worker_is_lost_is_cancelled(database: Database) -> None:
    claim = running_claim(database)
    do(database, lambda session: jobs.request_cancel(session, PROJECT_ID, claim.job_id))

    lose(database, claim)

    assert state_of(database, claim.job_id) == "cancelled"


def test_a_job_that_has_ended_otherwise_cannot_be_cancelled(database: Database) -> None:
    claim = running_claim(database)
    do(database, lambda session: jobs.fail(session, claim, ERROR))

    with pytest.raises(jobs.StateConflict):
        do(database, lambda session: jobs.request_cancel(session, PROJECT_ID, claim.job_id))


@pytest.mark.parametrize("verb", [jobs.request_cancel, jobs.remove])
def test_another_projects_job_is_not_there(database: Database, verb: Callable[[Session, str, str], object]) -> None:
    job_id = submit_job(database)

    with pytest.raises(jobs.JobNotFound):
        do(database, lambda session: verb(session, "prj_other", job_id))


def test_only_an_ended_job_is_removed_and_then_wholly(database: Database) -> None:
    claim = running_claim(database)
    with pytest.raises(jobs.StateConflict):
        do(database, lambda session: jobs.remove(session, PROJECT_ID, claim.job_id))
    do(database, lambda session: jobs.finish(session, claim, outcome="no_gain", report={}, delivered=[MODEL]))

    do(database, lambda session: jobs.remove(session, PROJECT_ID, claim.job_id))

    with database.transaction() as session:
        for table in (Job, Event, Attempt):
            assert session.scalars(select(table)).all() == []


def test_a_job_that_waited_too_long_expires(database: Database) -> None:
    job_id, running = submit_job(database), running_claim(database)
    do(database, lambda session: session.execute(text("UPDATE jobs SET submitted_at = '2020-01-01 00:00:00'")))

    do(database, lambda session: jobs.expire(session, timedelta(days=30)))

    expired = read_job(database, job_id)
    assert (expired.state, (expired.error or {}).get("code")) == ("expired", "expired")
    assert state_of(database, running.job_id) == "running"


def test_progress_never_goes_back_and_its_log_stays_small(database: Database) -> None:
    claim = running_claim(database)
    seen = []
    for step in [*range(0, 1000, 2), 3, 2, 1]:
        do(database, lambda s, step=step: jobs.beat(s, claim, Progress("recover", step / 1000, 1.0, "m" * 9000)))  # type: ignore[misc]
        if step % 100 == 0:
            seen.append(read_job(database, claim.job_id).fraction)

    assert seen == sorted(seen)
    assert read_job(database, claim.job_id).fraction == 0.998
    events = database.read_all(events_statement(project_id=PROJECT_ID, job_id=claim.job_id))
    progress = [event for event in events if event["type"] == "job.progress"]
    assert 1 < len(progress) <= PROGRESS_EVENTS + 1
    assert len(progress[0]["data"]["message"]) == MESSAGE_LENGTH


def test_a_beat_without_news_changes_nothing_that_a_reader_sees(database: Database) -> None:
    claim = running_claim(database)
    do(database, lambda session: jobs.beat(session, claim, Progress("load", 0.1)))
    before = read_job(database, claim.job_id).version

    do(database, lambda session: jobs.beat(session, claim, Progress("load", 0.1)))
    do(database, lambda session: jobs.beat(session, claim))

    assert read_job(database, claim.job_id).version == before


def test_the_place_in_the_queue_is_exact_and_gone_once_it_runs(database: Database) -> None:
    running = running_claim(database)
    waiting = [submit_job(database) for _ in range(3)]
    submit_job(database, device="gpu")

    def position(job_id: str) -> int | None:
        (row,) = database.read_all(job_statement(project_id=PROJECT_ID, job_id=job_id))
        found: int | None = row["queue_position"]
        return found

    assert [position(job_id) for job_id in waiting] == [1, 2, 3]
    assert position(running.job_id) is None


def test_pages_walk_through_all_jobs_newest_first(database: Database) -> None:
    made = [submit_job(database) for _ in range(5)]
    found: list[str] = []
    before: dict[str, str] = {}

    while page := database.read_all(jobs_page_statement(project_id=PROJECT_ID, limit=2, **before)):
        found += [row["id"] for row in page]
        before = {"before": found[-1]}

    assert found == sorted(made, reverse=True)
    assert database.read_all(jobs_in_state_statement(project_id=PROJECT_ID, limit=9, state="running")) == []
    assert database.read_all(jobs_page_statement(project_id="prj_other", limit=9)) == []
