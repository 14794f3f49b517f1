"""Who is next: round robin over the projects, and inside a project by priority, then by age.

The claim and the place in the queue that a client sees are made of the same pieces, so that the one is what the other
says. Projects take turns in each lane (a device, or the inspection): the one that was served longest ago comes first.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from core.db import insert_if_absent
from core.tables import Job, JobState, Turn, UtcDateTime

INSPECTION: Final = "inspect"
"""The lane in which models are looked at, whatever device their jobs are for."""

BEFORE_THE_START: Final = ("submitted", "validating", "queued")
NEVER: Final = literal(datetime(2000, 1, 1, tzinfo=UTC), UtcDateTime)


def in_order(waiting: Select[tuple[Job]]) -> Select[tuple[Job]]:
    """Sort jobs that wait for a worker as they are to be served."""
    lane = case((Job.state == JobState.SUBMITTED, INSPECTION), else_=Job.device)
    joined = waiting.outerjoin(Turn, and_(Turn.lane == lane, Turn.project_id == Job.project_id))
    return joined.order_by(func.coalesce(Turn.served_at, NEVER), Job.project_id, Job.priority.desc(), Job.id)


def note_turn(session: Session, job: Job, now: datetime) -> None:
    """Write that the job's project was served in its lane; called before the job leaves its waiting state."""
    lane = INSPECTION if job.state == JobState.SUBMITTED else job.device
    insert_if_absent(session, Turn, lane=lane, project_id=job.project_id, served_at=now)
    session.get_one(Turn, (lane, job.project_id)).served_at = now


def queue_position() -> ColumnElement[Any]:
    """Return the place of a row of `jobs` among all that wait for its device, 1 for the next; null once it runs.

    A job behind r others of its own project is served in round r: before it come those r, and of every other project
    as many as are served in r rounds, one more where that project's turn is earlier.
    """
    own = _jobs_ahead_in_the_project()
    place = 1 + own + func.coalesce(_jobs_ahead_of_others(own), 0)
    return case((Job.state.in_(BEFORE_THE_START), place)).label("queue_position")


def _jobs_ahead_in_the_project() -> ColumnElement[int]:
    ahead = aliased(Job)
    sooner = or_(ahead.priority > Job.priority, and_(ahead.priority == Job.priority, ahead.id < Job.id))
    mine = and_(ahead.device == Job.device, ahead.project_id == Job.project_id, ahead.state.in_(BEFORE_THE_START))
    return select(func.count()).where(mine, sooner).correlate(Job).scalar_subquery()


def _jobs_ahead_of_others(rounds: ColumnElement[int]) -> ColumnElement[int]:
    other = aliased(Job)
    waiting = (
        select(other.project_id, func.count().label("jobs"))
        .where(other.device == Job.device, other.project_id != Job.project_id, other.state.in_(BEFORE_THE_START))
        .group_by(other.project_id)
        .correlate(Job)
        .subquery()
    )
    theirs, ours = _served_at(waiting.c.project_id), _served_at(Job.project_id)
    is_earlier = or_(theirs < ours, and_(theirs == ours, waiting.c.project_id < Job.project_id))
    most = rounds + case((is_earlier, 1), else_=0)
    served = case((waiting.c.jobs < most, waiting.c.jobs), else_=most)
    return select(func.sum(served)).select_from(waiting).correlate(Job).scalar_subquery()


def _served_at(project_id: ColumnElement[Any] | Any) -> ColumnElement[Any]:
    turn = aliased(Turn)
    served = select(turn.served_at).where(turn.lane == Job.device, turn.project_id == project_id)
    return func.coalesce(served.scalar_subquery(), NEVER)
