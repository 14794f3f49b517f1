"""What a worker is asked to find out about uploaded files. The only writer of a model's and of a dataset's state.

Like a job, an examination is a row that one worker at a time holds by a lease: its attempt's number grows with every
claim, and who comes back with an old one is refused. Unlike a job it can be asked for again at no loss, so nobody waits
for it to be cancelled: it goes with the file that it is about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from core.db import insert_if_absent, utc_now
from core.ids import new_id
from core.jobs import BeatAnswer, LeaseLost, Progress
from core.jobs.order import NEVER, note_served
from core.limits import QuotaExceeded
from core.problems import Problem, job_problem
from core.tables import Dataset, Examination, FileState, Outbox, StoredModel, Turn
from core.tracing.carried import current_traceparent

Kind = Literal["model", "dataset", "report"]

EXAMINATION: Final = "examine"
"""The lane in which projects take turns here."""

TROUBLE_LIMIT: Final = 3
RETRY_SECONDS: Final = 5.0
REPORTS_WAITING: Final = 100


@dataclass(frozen=True)
class Claim:
    """One worker's right to one examination, and what it needs to know to make it."""

    examination_id: str
    kind: Kind
    attempt: int
    worker_id: str
    recipe: dict[str, Any]
    model_name: str | None
    model_sha256: str | None
    dataset_name: str | None
    dataset_sha256: str | None
    lease_seconds: float
    traceparent: str | None = None

    @property
    def job_id(self) -> str:
        """Return what a heart calls its work by."""
        return self.examination_id


def ask(
    session: Session,
    project_id: str,
    kind: Kind,
    *,
    model_id: str | None = None,
    dataset_id: str | None = None,
    recipe: dict[str, Any] | None = None,
) -> Examination:
    """Return the examination of this question, new or old; a new one has its bell.

    Raises QuotaExceeded where a project has asked for more reports than workers have got round to.
    """
    question = digest_of(recipe or {})
    old = select(Examination).where(
        Examination.project_id == project_id,
        Examination.kind == kind,
        Examination.model_id == model_id,
        Examination.dataset_id == dataset_id,
        Examination.question == question,
    )
    found = session.scalars(old).first()
    if found is not None:
        return found
    if kind == "report":
        _check_waiting(session, project_id)
    now, identifier = utc_now(session), new_id("exm")
    insert_if_absent(  # somebody else may ask the same at this moment
        session,
        Examination,
        id=identifier,
        project_id=project_id,
        kind=kind,
        model_id=model_id,
        dataset_id=dataset_id,
        question=question,
        recipe=recipe or {},
        traceparent=current_traceparent(),
        state="waiting",
        attempt=0,
        trouble_count=0,
        created_at=now,
    )
    row = session.scalars(old).one()
    if row.id == identifier:
        _ring_later(session, row, now)
    return row


def _check_waiting(session: Session, project_id: str) -> None:
    """A report can be asked for in as many ways as there are numbers, by whoever may read."""
    waiting = select(func.count()).where(
        Examination.state == "waiting", Examination.kind == "report", Examination.project_id == project_id
    )
    if (session.scalar(waiting) or 0) >= REPORTS_WAITING:
        detail = f"{REPORTS_WAITING} reports of the project wait for a worker. Wait until one is made."
        raise QuotaExceeded("reports_waiting", REPORTS_WAITING, detail)


def digest_of(recipe: dict[str, Any]) -> str:
    """Return what stands for a question: equal recipes have equal digests."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def claim(session: Session, *, worker_id: str, kinds: Collection[Kind], lease_seconds: float) -> Claim | None:
    """Take an examination of these kinds that waits, or whose worker was lost; None where there is none.

    Projects take turns: the one that was served longest ago comes first, with its oldest.
    """
    now = utc_now(session)
    waiting = and_(Examination.state == "waiting", or_(Examination.not_before.is_(None), Examination.not_before <= now))
    lost = and_(Examination.state == "running", Examination.lease_expires_at < now)
    wanted = select(Examination).where(Examination.kind.in_(kinds), or_(waiting, lost))
    turns = wanted.outerjoin(Turn, and_(Turn.lane == EXAMINATION, Turn.project_id == Examination.project_id))
    in_turn = turns.order_by(func.coalesce(Turn.served_at, NEVER), Examination.id).limit(1)
    row = session.scalars(in_turn.with_for_update(skip_locked=True, of=Examination)).first()
    if row is None:
        return None
    note_served(session, EXAMINATION, row.project_id, now)
    if row.state == "running" and _is_given_up(row):
        _settle(session, row, None, job_problem("worker-lost", f"Its worker was lost {row.trouble_count} times."), now)
        return claim(session, worker_id=worker_id, kinds=kinds, lease_seconds=lease_seconds)
    row.state, row.lease_owner, row.not_before = "running", worker_id, None
    row.attempt += 1
    row.lease_expires_at = now + timedelta(seconds=lease_seconds)
    return _claim_of(session, row, worker_id, lease_seconds)


def beat(session: Session, claim: Claim, progress: Progress | None = None) -> BeatAnswer:
    """Renew the lease; who does not hold it any more learns so, also when the file was deleted."""
    try:
        row = _held(session, claim)
    except LeaseLost:
        return BeatAnswer(still_mine=False, cancel_requested=False, pause_requested=False)
    row.lease_expires_at = utc_now(session) + timedelta(seconds=claim.lease_seconds)
    return BeatAnswer(still_mine=True, cancel_requested=False, pause_requested=False)


def answered(session: Session, claim: Claim, answer: dict[str, Any] | None, error: Problem | None = None) -> None:
    """Write what was found, and with it the state of the file that it is about."""
    _settle(session, _held(session, claim), answer, error, utc_now(session))


def troubled(session: Session, claim: Claim, error: Problem) -> None:
    """The attempt did not end as it should: try again after a while, or give up with this error."""
    row, now = _held(session, claim), utc_now(session)
    if _is_given_up(row):
        _settle(session, row, None, error, now)
    else:
        _wait_again(session, row, now, RETRY_SECONDS * row.trouble_count)


def given_back(session: Session, claim: Claim) -> None:
    """The worker stops; no fault of the examination's."""
    _wait_again(session, _held(session, claim), utc_now(session), 0.0)


def _is_given_up(row: Examination) -> bool:
    row.trouble_count += 1
    return row.trouble_count >= TROUBLE_LIMIT


def _wait_again(session: Session, row: Examination, now: datetime, seconds: float) -> None:
    row.state, row.lease_owner, row.lease_expires_at = "waiting", None, None
    row.not_before = now + timedelta(seconds=seconds)
    _ring_later(session, row, now)


def _settle(
    session: Session, row: Examination, answer: dict[str, Any] | None, error: Problem | None, now: datetime
) -> None:
    row.state, row.finished_at, row.lease_owner, row.lease_expires_at = "done", now, None, None
    row.answer, row.error = answer, error
    file = _file_of(session, row)
    if file is None:
        return
    file.state = FileState.READY if error is None else FileState.REJECTED
    file.error = error
    if isinstance(file, StoredModel):
        file.analysis = answer
    else:
        file.summary = answer
    row.answer = None  # kept with the file
    _ring_later(session, row, now)  # jobs may wait for it


def _file_of(session: Session, row: Examination) -> StoredModel | Dataset | None:
    """Return the file whose state this examination settles; a report settles none."""
    if row.kind == "model":
        return session.get(StoredModel, row.model_id)
    return session.get(Dataset, row.dataset_id) if row.kind == "dataset" else None


def _held(session: Session, claim: Claim) -> Examination:
    mine = select(Examination).where(Examination.id == claim.examination_id).with_for_update()
    row = session.scalars(mine).first()
    if row is None or row.state != "running" or (row.attempt, row.lease_owner) != (claim.attempt, claim.worker_id):
        raise LeaseLost(f"Examination {claim.examination_id} is no longer held by {claim.worker_id}.")
    return row


def _claim_of(session: Session, row: Examination, worker_id: str, lease_seconds: float) -> Claim:
    model = session.get(StoredModel, row.model_id) if row.model_id else None
    dataset = session.get(Dataset, row.dataset_id) if row.dataset_id else None
    kind: Kind = row.kind  # type: ignore[assignment]  # only `ask` writes it
    return Claim(
        examination_id=row.id,
        kind=kind,
        attempt=row.attempt,
        worker_id=worker_id,
        recipe=row.recipe,
        model_name=model.name if model else None,
        model_sha256=model.sha256 if model else None,
        dataset_name=dataset.name if dataset else None,
        dataset_sha256=dataset.sha256 if dataset else None,
        lease_seconds=lease_seconds,
        traceparent=row.traceparent,
    )


def _ring_later(session: Session, row: Examination, now: datetime) -> None:
    payload = {"job_id": row.id, "device": "cpu"}
    session.add(Outbox(id=new_id("out"), kind="ring", payload=payload, created_at=now))
