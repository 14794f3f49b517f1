"""Any history of a job, however unlucky, keeps the invariants: the real code on SQLite, checked after every step."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, select

from core import jobs
from core.db import Database
from core.jobs import MOVES, TERMINAL
from core.problems import job_problem
from core.tables import Artifact, Attempt, Event, Job, JobState
from tests.core.samples import LIMITS, PROJECT_ID, submit_job

WORKERS = ("wrk_a", "wrk_b")


class Histories(RuleBasedStateMachine):
    """Two workers, of which each may be lost, come back late, stop, or see its child die, at any moment."""

    template: Path
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        path = shutil.copy(self.template, self._folder.name)
        self._database = Database(f"sqlite:///{path}")
        # What is written here need not survive a power cut; waiting for the disk is most of the time.
        event.listen(self._database.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
        self._limits = LIMITS
        self._submitted: set[str] = set()
        self._newest_attempt: dict[str, int] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, tuple[int, float]] = {}

    def teardown(self) -> None:
        self._database.close()
        self._folder.cleanup()

    @initialize(interrupt_limit=st.integers(0, 2))
    def choose_limits(self, interrupt_limit: int) -> None:
        self._limits = replace(LIMITS, interrupt_limit=interrupt_limit)

    @rule()
    def submit(self) -> None:
        self._submitted.add(submit_job(self._database))

    @rule(target=claims, worker_id=st.sampled_from(WORKERS))
    def claim(self, worker_id: str) -> jobs.Claim | None:
        with self._database.transaction() as session:
            claim = jobs.claim(session, worker_id=worker_id, devices=["cpu"], lease_seconds=60)
        if claim is not None:
            assert claim.attempt > self._newest_attempt.get(claim.job_id, 0)
            self._newest_attempt[claim.job_id] = claim.attempt
        return claim

    @rule(claim=claims, fraction=st.floats(0, 1), stage=st.sampled_from(["score", "recover"]))
    def beat(self, claim: jobs.Claim | None, fraction: float, stage: str) -> None:
        if claim is not None:
            with self._database.transaction() as session:
                answer = jobs.beat(session, claim, jobs.Progress(stage, fraction))
            assert not answer.still_mine or self._is_newest(claim)

    @rule(claim=claims)
    def finalize(self, claim: jobs.Claim | None) -> None:
        if claim is not None and claim.state == JobState.RUNNING:
            with contextlib.suppress(jobs.StateConflict):  # it is finalizing already
                self._write(claim, jobs.finalize)

    @rule(claim=consumes(claims))
    def succeed(self, claim: jobs.Claim | None) -> None:
        """Right after the claim, or late: the claim may have been lost long ago."""

        def end(session: Any, claim: jobs.Claim) -> None:
            if claim.state == JobState.VALIDATING:
                jobs.validated(session, claim, {})
            else:
                model = jobs.Delivered("model.onnx", "model", "x", f"{claim.attempt:064x}", 1)
                jobs.finish(session, claim, outcome="target_met", report={"of": claim.attempt}, delivered=[model])

        self._write(claim, end)

    @rule(claim=claims)
    def fail(self, claim: jobs.Claim | None) -> None:
        self._write(claim, lambda session, claim: jobs.fail(session, claim, job_problem("internal-error", "test")))

    @rule(claim=claims)
    def child_crashes(self, claim: jobs.Claim | None) -> None:
        self._write(claim, lambda session, claim: jobs.crashed(session, claim, self._limits, detail="fell"))

    @rule(claim=claims)
    def worker_drains(self, claim: jobs.Claim | None) -> None:
        self._write(claim, lambda session, claim: jobs.release(session, claim, self._limits))

    @rule(claim=claims)
    def worker_drains_while_its_job_is_cancelled(self, claim: jobs.Claim | None) -> None:
        """Two unlucky things at once, which chance alone brings together too seldom."""
        if claim is not None and claim.job_id not in self._ended:
            with self._database.transaction() as session:
                jobs.request_cancel(session, PROJECT_ID, claim.job_id)
            self._write(claim, lambda session, claim: jobs.release(session, claim, self._limits))

    @rule(worker_id=st.sampled_from(WORKERS))
    def worker_is_lost(self, worker_id: str) -> None:
        """Its claims stay in the bundle: it may come back and write, late."""
        with self._database.transaction() as session:
            for lease in jobs.overdue(session, [worker_id]):
                if lease.worker_id == worker_id:
                    assert jobs.reap(session, lease, self._limits)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self._submitted:
            job_id = data.draw(st.sampled_from(sorted(self._submitted)))
            try:
                with self._database.transaction() as session:
                    jobs.request_cancel(session, PROJECT_ID, job_id)
            except jobs.StateConflict:
                assert job_id in self._ended

    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        """Of a job that is being delivered, or has ended, a pause is refused."""
        if self._submitted:
            job_id = data.draw(st.sampled_from(sorted(self._submitted)))
            with contextlib.suppress(jobs.StateConflict), self._database.transaction() as session:
                jobs.request_pause(session, PROJECT_ID, job_id)

    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        if self._submitted:
            job_id = data.draw(st.sampled_from(sorted(self._submitted)))
            with contextlib.suppress(jobs.StateConflict), self._database.transaction() as session:
                assert jobs.resume(session, PROJECT_ID, job_id).state in jobs.WAITING

    @rule(claim=claims)
    def worker_has_stopped_as_asked(self, claim: jobs.Claim | None) -> None:
        self._write(claim, jobs.paused)

    @invariant()
    def nothing_is_lost_and_nothing_contradicts_itself(self) -> None:
        with self._database.transaction() as session:
            rows = session.scalars(select(Job)).all()
            assert {row.id for row in rows} == self._submitted
            for row in rows:
                self._check(session, row)

    def _check(self, session: Any, job: Job) -> None:
        values = {column.key: getattr(job, column.key) for column in Job.__table__.columns}
        if job.id in self._ended:
            assert values == self._ended[job.id], "an ended job changed"
        elif job.state in TERMINAL:
            self._ended[job.id] = values
        version, fraction = self._seen.get(job.id, (0, 0.0))
        assert job.version >= version
        assert job.fraction >= fraction
        self._seen[job.id] = (job.version, job.fraction)
        self._check_attempts(session, job)
        self._check_events(session, job)

    def _check_attempts(self, session: Any, job: Job) -> None:
        attempts = session.scalars(select(Attempt).where(Attempt.job_id == job.id).order_by(Attempt.attempt)).all()
        finished = [attempt.attempt for attempt in attempts if attempt.ending == "finished"]
        artifacts = session.scalars(select(Artifact).where(Artifact.job_id == job.id)).all()
        assert [attempt.attempt for attempt in attempts] == list(range(1, job.attempt + 1))
        assert all(attempt.ended_at is not None for attempt in attempts[:-1])
        assert (len(finished) == 1) == (job.state == "succeeded") == (job.outcome is not None)
        assert job.report == ({"of": finished[0]} if finished else None)
        assert [artifact.sha256 for artifact in artifacts] == [f"{number:064x}" for number in finished]
        assert job.crash_count <= self._limits.crash_limit
        assert job.interrupt_count <= self._limits.interrupt_limit + 1
        assert (job.lease_owner is not None) == (job.state in jobs.LEASED)

    def _check_events(self, session: Any, job: Job) -> None:
        told = session.scalars(select(Event).where(Event.job_id == job.id).order_by(Event.seq)).all()
        states = [JobState(line.data["state"]) for line in told if line.type == "job.state"]
        assert [line.seq for line in told] == list(range(1, job.last_seq + 1))
        assert states[-1] == job.state
        assert all(after in MOVES[before] for before, after in itertools.pairwise(states))

    def _write(self, claim: jobs.Claim | None, write: Any) -> None:
        """Write as a worker does: refused unless the claim is the job's newest and the job has not moved on."""
        if claim is None:
            return
        try:
            with self._database.transaction() as session:
                write(session, claim)
        except jobs.LeaseLost:
            return
        assert self._is_newest(claim)

    def _is_newest(self, claim: jobs.Claim) -> bool:
        return claim.attempt == self._newest_attempt[claim.job_id]


def test_any_history_keeps_the_invariants(sqlite_template: Path) -> None:
    Histories.template = sqlite_template
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=25, stateful_step_count=30, deadline=None, derandomize=True)
    )
