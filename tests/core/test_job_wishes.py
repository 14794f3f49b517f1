"""What users ask of jobs that wait or run: a pause, a deadline, labels, a receipt; and what is told of the stages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from core import jobs
from core.blobs import GRACE
from core.db import Database, utc_now
from core.jobs import Delivered, Progress
from core.problems import job_problem
from core.queries import events_statement, labelled_jobs, receipt_statement
from core.tables import Attempt, Deletion, Job
from tests.core.samples import LIMITS, PROJECT_ID, claim_job, read_job, running_claim, state_of, submit_job

MODEL = Delivered("model.onnx", "model", "application/octet-stream", "a" * 64, 4)
ERROR = job_problem("internal-error", "as a test wanted it")


def do(database: Database, work: Callable[[Session], object]) -> None:
    with database.transaction() as session:
        work(session)


def pause(database: Database, job_id: str) -> None:
    do(database, lambda session: jobs.request_pause(session, PROJECT_ID, job_id))


def test_a_waiting_job_is_paused_at_once_and_goes_on_where_it_was(database: Database) -> None:
    job_id = submit_job(database)

    pause(database, job_id)
    pause(database, job_id)
    assert state_of(database, job_id) == "paused"
    with database.transaction() as session:
        assert jobs.claim(session, worker_id="wrk_a", devices=["cpu"], lease_seconds=60) is None
    do(database, lambda session: jobs.resume(session, PROJECT_ID, job_id))

    assert state_of(database, job_id) == "submitted"
    assert claim_job(database).job_id == job_id


def test_a_running_job_is_paused_when_its_child_is_gone(database: Database) -> None:
    claim = running_claim(database)
    do(database, lambda session: jobs.beat(session, claim, Progress("score", 0.4)))

    pause(database, claim.job_id)
    assert state_of(database, claim.job_id) == "pausing"
    with database.transaction() as session:
        assert jobs.beat(session, claim) == (True, False, True)
    do(database, lambda session: jobs.paused(session, claim))

    job = read_job(database, claim.job_id)
    assert (job.state, job.lease_owner, job.fraction, job.interrupt_count) == ("paused", None, 0.4, 0)
    assert job.paused_at is not None
    do(database, lambda session: jobs.resume(session, PROJECT_ID, claim.job_id))
    again = claim_job(database, validate=False)
    assert (again.job_id, again.attempt) == (claim.job_id, claim.attempt + 1)
    with database.transaction() as session:
        assert jobs.beat(session, again) == (True, False, False)
        assert session.get_one(Attempt, (claim.job_id, claim.attempt)).ending == "paused"


def test_an_inspection_that_ends_while_its_job_is_paused_need_not_be_done_again(sqlite: Database) -> None:
    job_id = submit_job(sqlite)
    inspection = claim_job(sqlite, devices=[])
    pause(sqlite, job_id)

    do(sqlite, lambda session: jobs.validated(session, inspection, {"parameters": 1}))
    assert state_of(sqlite, job_id) == "paused"
    do(sqlite, lambda session: jobs.resume(session, PROJECT_ID, job_id))

    assert state_of(sqlite, job_id) == "queued"


ENDINGS: dict[str, tuple[Callable[[Session, jobs.Claim], object], str]] = {
    "lost": (lambda session, claim: jobs.reap(session, jobs.overdue(session, [claim.worker_id])[0], LIMITS), "paused"),
    "crashed": (lambda session, claim: jobs.crashed(session, claim, LIMITS, detail="fell"), "paused"),
    "drained": (lambda session, claim: jobs.release(session, claim, LIMITS), "paused"),
    "faulted": (lambda session, claim: jobs.faulted(session, claim, LIMITS, ERROR), "paused"),
    "failed": (lambda session, claim: jobs.fail(session, claim, ERROR), "failed"),
    "finished": (
        lambda session, claim: jobs.finish(session, claim, outcome="no_gain", report={}, delivered=[MODEL]),
        "succeeded",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_whatever_ends_an_attempt_that_is_being_paused(sqlite: Database, ending: str) -> None:
    """What has an outcome keeps it; everything else is paused, as was asked."""
    claim = running_claim(sqlite)
    pause(sqlite, claim.job_id)
    act, wanted = ENDINGS[ending]

    do(sqlite, lambda session: act(session, claim))

    assert state_of(sqlite, claim.job_id) == wanted


def test_work_that_is_done_is_not_paused_any_more(sqlite: Database) -> None:
    claim = running_claim(sqlite)
    pause(sqlite, claim.job_id)

    with sqlite.transaction() as session:
        assert jobs.finalize(session, claim)
        assert not jobs.beat(session, claim).pause_requested
    with pytest.raises(jobs.StateConflict):
        pause(sqlite, claim.job_id)


def test_a_paused_job_can_be_cancelled_and_one_that_was_cancelled_not_resumed(sqlite: Database) -> None:
    job_id = submit_job(sqlite)
    pause(sqlite, job_id)

    do(sqlite, lambda session: jobs.request_cancel(session, PROJECT_ID, job_id))

    assert state_of(sqlite, job_id) == "cancelled"
    with pytest.raises(jobs.StateConflict):
        do(sqlite, lambda session: jobs.resume(session, PROJECT_ID, job_id))


def soon(database: Database) -> datetime:
    with database.transaction() as session:
        return utc_now(session) + timedelta(minutes=1)


def test_a_job_that_nobody_began_by_its_deadline_expires(database: Database) -> None:
    late, begun, patient = (submit_job(database, deadline_at=soon(database)) for _ in range(3))
    inspection = claim_job(database, job_id=begun)
    do(database, lambda session: jobs.validated(session, inspection, {}))
    running = claim_job(database, job_id=begun, validate=False)
    past = soon(database) - timedelta(minutes=2)
    do(database, lambda s: s.execute(update(Job).where(Job.id != patient).values(deadline_at=past)))

    with database.transaction() as session:
        other = jobs.claim(session, worker_id="wrk_a", devices=["cpu"], lease_seconds=60)
        assert other is not None
        assert other.job_id == patient
        assert jobs.expire_late(session) == 1

    job = read_job(database, late)
    assert job.state == "expired"
    assert job.error is not None
    assert job.error["code"] == "deadline-passed"
    assert state_of(database, running.job_id) == "running"


def test_a_job_that_ran_before_has_kept_its_deadline(sqlite: Database) -> None:
    claim = running_claim(sqlite)
    do(sqlite, lambda session: jobs.release(session, claim, LIMITS))
    past = soon(sqlite) - timedelta(minutes=2)
    do(sqlite, lambda session: session.execute(update(Job).values(deadline_at=past)))

    with sqlite.transaction() as session:
        assert jobs.expire_late(session) == 0
    assert claim_job(sqlite, validate=False).job_id == claim.job_id


def test_a_deadline_that_has_passed_is_refused(sqlite: Database) -> None:
    with pytest.raises(jobs.DeadlinePassed):
        submit_job(sqlite, deadline_at=soon(sqlite) - timedelta(minutes=2))


def test_jobs_are_found_by_all_their_labels(database: Database) -> None:
    strange = {"a=b": "c=d", "quote\"'": "%_\\", "": "empty"}
    both = submit_job(database, labels={"team": "vision", "env": "test"})
    one = submit_job(database, labels={"team": "vision"} | strange)
    submit_job(database, labels={"team": "Vision"})

    def found(**more: object) -> list[str]:
        asked = {"labels": {}, "before": "job_~", "state": "", "limit": 9, **more}
        with database.transaction() as session:
            return [row.id for row in session.execute(labelled_jobs(PROJECT_ID, **asked))]  # type: ignore[arg-type]

    assert found(labels={"team": "vision"}) == [one, both]
    assert found(labels={"team": "vision", "env": "test"}) == [both]
    assert [found(labels={name: value}) for name, value in strange.items()] == [[one]] * 3
    assert found(labels={"team": "vision"}, state="running") == []
    assert found(labels={"team": "vision"}, before=one) == [both]


def test_a_deleted_job_leaves_a_receipt(database: Database) -> None:
    claim = running_claim(database)
    do(database, lambda s: jobs.finish(s, claim, outcome="no_gain", report={}, delivered=[MODEL]))
    told = len(database.read_all(events_statement(project_id=PROJECT_ID, job_id=claim.job_id)))

    do(database, lambda session: jobs.remove(session, PROJECT_ID, claim.job_id))

    (receipt,) = database.read_all(receipt_statement(project_id=PROJECT_ID, job_id=claim.job_id))
    assert receipt["files"] == [{"name": "model.onnx", "role": "model", "sha256": MODEL.sha256, "size_bytes": 4}]
    assert receipt["events"] == told
    assert receipt["erased_by"] - receipt["deleted_at"] > GRACE
    assert database.read_all(receipt_statement(project_id="prj_other", job_id=claim.job_id)) == []
    with database.transaction() as session:
        assert len(session.scalars(select(Deletion)).all()) == 1


def test_stages_are_told_with_their_times_and_begin_anew_with_each_run(sqlite: Database) -> None:
    claim = running_claim(sqlite)
    steps = [("load", 0.0, 0.0), ("load", 0.01, 1.0), ("score", 0.1, 0.5), ("score", 0.1, 0.2)]
    for progress in [Progress(stage, fraction, 9.0, None, of_stage) for stage, fraction, of_stage in steps]:
        do(sqlite, lambda session, progress=progress: jobs.beat(session, claim, progress))  # type: ignore[misc]

    first, second = read_job(sqlite, claim.job_id).stages or []
    assert (first["name"], first["fraction"]) == ("load", 1.0)
    assert first["ended_at"] >= first["started_at"]
    assert (second["name"], second["fraction"], second["ended_at"]) == ("score", 0.5, None)
    do(sqlite, lambda session: jobs.release(session, claim, LIMITS))
    again = claim_job(sqlite, validate=False)
    assert read_job(sqlite, claim.job_id).stages == []
    assert again.attempt == claim.attempt + 1


def test_past_jobs_of_the_kind_correct_the_estimate(sqlite: Database) -> None:
    """Five jobs took twice what their engine said: the sixth is told so."""
    for _ in range(5):
        claim = running_claim(sqlite)
        do(sqlite, lambda session, claim=claim: jobs.beat(session, claim, Progress("score", 0.1, 100.0)))  # type: ignore[misc]
        do(sqlite, lambda session, claim=claim: jobs.fail(session, claim, ERROR))  # type: ignore[misc]
    ended = {"state": "succeeded", "eta_samples": [[0.1, 0.0, 100.0]]}
    do(sqlite, lambda session: session.execute(text("DROP TRIGGER ended_jobs_never_change")))

    def rewrite(session: Session) -> None:
        for job in session.scalars(select(Job)):
            assert job.running_at is not None
            session.execute(
                update(Job).where(Job.id == job.id).values(**ended, finished_at=job.running_at + timedelta(seconds=205))
            )

    do(sqlite, rewrite)
    claim = running_claim(sqlite)
    do(sqlite, lambda session: jobs.beat(session, claim, Progress("score", 0.1, 50.0)))

    job = read_job(sqlite, claim.job_id)
    assert job.forecast is not None
    assert job.forecast["jobs"] == 5
    assert job.eta_seconds == pytest.approx(105.0, abs=1.0)
    assert job.eta_p90_seconds is not None
    assert job.eta_p90_seconds >= job.eta_seconds
